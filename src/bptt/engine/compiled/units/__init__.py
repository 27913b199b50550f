"""Units in the lanes: how arrays lie, the register tile, and the sweeps."""
