/* For programs that begin and end their recording themselves: the same on a Mac. */
#include "../../../recorder/interpose/include/dextape.h"
