"""One module per command of `platewarden`: HELP, configure(parser) and run(args). `firmware.cli` holds
the table of their names."""
