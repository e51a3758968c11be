"""The commands on autoencoders, one file each: `Options`, `run(options)`, `to_text(record, options)`, `COMMAND`.

`data` has one such set per subcommand. No torch is imported until a command runs, so that `--help` answers at once.
"""
