"""A setting of the build that a transition can change, which no --define is."""

def _bool_flag_impl(_):
    return []

bool_flag = rule(
    implementation = _bool_flag_impl,
    build_setting = config.bool(flag = True),
)
