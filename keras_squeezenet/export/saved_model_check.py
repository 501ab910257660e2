"""Which SavedModels may be run: those that compute, and do nothing else.

A SavedModel is a program, which can read and write files. TensorFlow runs some
of its functions as soon as it is loaded.
"""

import os
import pathlib

# The operations of the SavedModels that this package and Keras write, and some
# more that image classifiers have. None of them accesses files, other processes
# or Python: DecodeJpeg and DecodePng read the bytes that they are given.
OPERATIONS = frozenset(
    """
    Abs Add AddN AddV2 All Any AssignVariableOp AvgPool BatchMatMulV2 BiasAdd
    Bitcast Cast ClipByValue ConcatV2 Const Conv2D Cumsum DecodeCompressed
    DecodeJpeg DecodePng DecodeRaw DepthwiseConv2dNative Elu EnsureShape Equal
    Erf Erfc Exp ExpandDims FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel Fill Floor FloorDiv FloorMod
    FusedBatchNormV3 GatherV2 Greater GreaterEqual Identity IdentityN If
    LeakyRelu Less LessEqual Log LogSoftmax LogicalAnd LogicalNot MatMul Max
    MaxPool Maximum Mean Min Minimum MirrorPad Mul Neg NoOp NotEqual OnesLike
    Pack Pad PadV2 PartitionedCall Pow Prod Range ReadVariableOp RealDiv
    Reciprocal Relu Relu6 Reshape ResizeBilinear ResizeNearestNeighbor ReverseV2
    Round Rsqrt ScaleAndTranslate Select SelectV2 Selu Shape Sigmoid Slice
    Softmax Softplus Softsign Split SplitV Sqrt Square SquaredDifference Squeeze
    StatefulPartitionedCall StatelessIf StatelessWhile StaticRegexReplace
    StopGradient StridedSlice StringLength Sub Substr Sum Tanh
    TensorListConcatV2 TensorListFromTensor TensorListGetItem TensorListReserve
    TensorListSetItem TensorListStack Tile Transpose UnicodeTranscode Unpack
    UpperBound VarHandleOp Where While ZerosLike
    """.split()
)


def require_computation(path: str | os.PathLike) -> None:
    """Raise a `ValueError` unless a SavedModel has known operations only.

    This checks every function that TensorFlow can call when it loads the folder
    or runs a signature.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = pathlib.Path(path, "saved_model.pb").read_bytes()
    graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ValueError("it must be a SavedModel of TensorFlow 2")
    functions = {
        function.signature.name: function
        for function in graphs[0].graph_def.library.function
    }
    # The functions that save and restore are not among these: TensorFlow
    # restores variables itself.
    pending = list(graphs[0].object_graph_def.concrete_functions)
    called = set()
    while pending:
        name = pending.pop()
        if name in called or name not in functions:
            continue
        called.add(name)
        for node in functions[name].node_def:
            if node.op not in functions and node.op not in OPERATIONS:
                raise ValueError(
                    f"it has the operation {node.op}, which no network needs, "
                    "and which may do anything. If you trust it, run it with "
                    "`tf.saved_model.load`"
                )
            pending.append(node.op)
            for value in node.attr.values():
                pending += [value.func.name, *(f.name for f in value.list.func)]
