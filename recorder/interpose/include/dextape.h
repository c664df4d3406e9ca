/* Recording from inside a program that is linked against libdextape_interpose.dylib.
 * A program that the library is inserted into needs nothing of this: DEXTAPE_RECORD=file does it. */
#ifndef DEXTAPE_H
#define DEXTAPE_H

#ifdef __cplusplus
extern "C" {
#endif

/* Begins a recording: tape is the file that it becomes. Gives 0, or -1 where one is running already or
 * its journal cannot be made, which is said on stderr. Connections opened before are not recorded. */
int dextape_record_start(const char *tape);

/* Marks this place of the recording as the one that matters: a note on the tape names it, with a reason
 * for people (NULL: none). Gives 0, or -1 where nothing is recorded. */
int dextape_record_trigger(const char *reason);

/* Ends the recording and seals its tape. Gives 0, or -1 where there is none or it could not be sealed,
 * which is said on stderr. Open connections go on, unrecorded. The exit of the process does the same. */
int dextape_record_stop(void);

#ifdef __cplusplus
}
#endif

#endif
