/* What the Swift module CPeft holds: the header of this repository where the
 * package lies in it, else the one that is installed. */
#if __has_include("../../../../peft_c/peft_c.h")
#include "../../../../peft_c/peft_c.h"
#elif __has_include("peft_c/peft_c.h")
#include "peft_c/peft_c.h"
#else
#error "peft_c/peft_c.h not found: install it where pkg-config peft says"
#endif
