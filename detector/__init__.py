"""Image in, plate text out. No files of its own but the models, no clock, no network.

`detector.runtime` is the one module that names the TFLite runtime; `detector.sidecar` reads what
stands beside a model; `detector.reader` puts the locator and the OCR together.
"""
