"""Digests of files are those of common tools."""

from keras_squeezenet.pretrained import weights_file


def test_git_digest_is_that_of_git():
    digest = weights_file.Digest("git", "0" * 40)
    # `printf 'hello\n' | git hash-object --stdin`, and of an empty file.
    assert digest.of(b"hello\n").value == (
        "ce013625030ba8dba906f756967f9e9ca394464a"
    )
    assert digest.of(b"").value == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_digest_has_as_many_digits_as_are_known():
    # The output of `printf 'hello\n' | sha256sum`.
    whole = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    known = weights_file.Digest("sha256", whole[:8])
    assert known.of(b"hello\n") == known
    assert known.of(b"hello") != known
    assert weights_file.Digest("sha256", whole).of(b"hello\n").value == whole
    assert str(known) == "sha256 5891b5b5"
