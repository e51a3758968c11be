"""The commands on plain arrays, one file each: `Options`, `run(options)`, `to_text(record, options)`, `COMMAND`.

No torch and no numpy is imported until a command runs, so that `--help` answers at once.
"""
