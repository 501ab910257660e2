from keras_squeezenet.cli import main

if __name__ == "__main__":
    main.run()
