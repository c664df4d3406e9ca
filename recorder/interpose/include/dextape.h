/* Recording from inside a program that is linked against libdextape_interpose.dylib, or on Linux against
 * libIOKit.so. A program that the library is inserted into needs nothing of this: DEXTAPE_RECORD=file does
 * it, with DEXTAPE_RING and DEXTAPE_TRIGGER for what dextape_record_start_ring is told. */
#ifndef DEXTAPE_H
#define DEXTAPE_H

#ifdef __cplusplus
extern "C" {
#endif

/* Begins a recording: tape is the file that it becomes. Gives 0, or -1 where one is running already or
 * its journal cannot be made, which is said on stderr. Connections opened before are not recorded; on
 * Linux it stands before the first call of IOKit, and one program has one recording. */
int dextape_record_start(const char *tape);

/* Begins a recording that may stay on for weeks, the flight recorder's. ring says what it keeps beside the
 * beginnings of connections: a size, a time or both, such as "64MiB,10min" (NULL: "64MiB"). triggers says what
 * has a tape cut while it goes on, beside dextape_record_trigger: such as "result:Timeout", "result:0xe00002d6",
 * "result:any-error", "signal:SIGUSR1", "signal:crash", and "tapes:4" for how many at most, with commas between
 * (NULL: nothing else, 16). Tapes that are cut stand beside the one of the recording, as NAME-cut-1.tape.jsonl
 * and so on, and never replace anything. A handler of ours stands before those of the program for the signals
 * named, and passes them on. Gives what dextape_record_start gives, and -1 for what cannot be read. */
int dextape_record_start_ring(const char *tape, const char *ring, const char *triggers);

/* Marks this place of the recording as the one that matters: a note on the tape names it, with a reason
 * for people (NULL: none). Of a flight recorder it has a tape cut, on another thread, so it does not wait for
 * that; it is not for signal handlers. Gives 0, or -1 where nothing is recorded. */
int dextape_record_trigger(const char *reason);

/* Ends the recording and seals its tape. Gives 0, or -1 where there is none or it could not be sealed,
 * which is said on stderr. Open connections go on, unrecorded. The exit of the process does the same. */
int dextape_record_stop(void);

#ifdef __cplusplus
}
#endif

#endif
