/* What the Swift module CPeft holds. */
#include "peft_c/peft_c.h"
