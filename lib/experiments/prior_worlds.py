MAIN_MODEL = "reference_cnn"
