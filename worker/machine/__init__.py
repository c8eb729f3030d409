"""The machine: devices, disk, commit, versions."""
