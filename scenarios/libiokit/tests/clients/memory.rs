//! Memory of the dext in the client, by raw pointers.

use crate::program::{Program, trial};
use libtest_mimic::Trial;

/// Text to capitals, a flag that is set later, a counter, and a status that cannot be written.
const SHARED: &str = "io_connect_t c = open_service(find_dext(\"SharedBuffer\"));\n\
     mach_vm_address_t at = 0, status = 0; mach_vm_size_t size = 0, status_size = 0;\n\
     printf(\"%x\", (unsigned)IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere));\n\
     printf(\" %x\", (unsigned)IOConnectMapMemory64(c, 1, mach_task_self(), &status, &status_size, kIOMapAnywhere));\n\
     printf(\" %d %d\\n\", (int)size, (int)status_size);\n\
     strcpy((char *)at + 16, \"hello\"); uint64_t n = 0, in = 0; uint32_t one = 1;\n\
     kern_return_t kr = IOConnectCallScalarMethod(c, 0, NULL, 0, &n, &one);\n\
     printf(\"%x %d %s\\n\", (unsigned)kr, (int)n, (char *)at + 16);\n\
     in = 20; IOConnectCallScalarMethod(c, 1, &in, 1, NULL, NULL);\n\
     while (*(volatile uint32_t *)at == 0) usleep(100);\n\
     printf(\"flag %u\\n\", *(volatile uint32_t *)at);\n\
     *(volatile uint64_t *)(at + 8) = 40; in = 2; one = 1; IOConnectCallScalarMethod(c, 2, &in, 1, &n, &one);\n\
     printf(\"counter %d was %d\\n\", (int)*(volatile uint64_t *)(at + 8), (int)n);\n\
     printf(\"served %u\\n\", *(volatile uint32_t *)status);\n\
     printf(\"write %d\\n\", FAULTS(*(volatile uint32_t *)status = 1));\n\
     printf(\"%x\", (unsigned)IOConnectUnmapMemory64(c, 0, mach_task_self(), at));\n\
     printf(\" %d\", FAULTS(*(volatile char *)at)); printf(\" %x\\n\", (unsigned)IOServiceClose(c));\n";

const SAID: &str = "0 0 128 16\n0 5 HELLO\nflag 1\ncounter 42 was 40\nserved 3\nwrite 1\n0 1 0\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("memory::both_sides_see_each_others_writes", &["gcc"], || {
            assert_eq!(Program::c(SHARED).on("shared-buffer").run().well(), SAID);
        }),
        trial("memory::what_was_seen_is_replayed_also_to_a_client_that_polls", &["gcc"], || {
            let live = Program::c(SHARED).on("shared-buffer");
            let tape = live.path("t.tape.jsonl").to_str().unwrap().to_owned();
            let live = live.set("DEXTAPE_RECORD", &tape);
            assert_eq!(live.run().well(), SAID, "recorded");
            let text = std::fs::read_to_string(&tape).unwrap();
            assert!(text.contains("\"sync_points\""), "the tape says how memory was seen");
            let replay = Program::c(SHARED).set("DEXTAPE_TAPE", &tape).set("DEXTAPE_STRICT", "1");
            assert_eq!(replay.run().well(), SAID, "replayed");
        }),
        trial("memory::a_data_queue_in_shared_memory", &["gcc"], || {
            let body = "io_connect_t c = open_service(find_dext(\"SharedBuffer\")); mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
                 IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n\
                 IODataQueueMemory *q = (IODataQueueMemory *)at; q->queueSize = 64; char out[32]; uint32_t n; int good = 0;\n\
                 printf(\"%d %x\", (int)IODataQueueDataAvailable(q), (unsigned)IODataQueueDequeue(q, out, &n));\n\
                 for (int round = 0; round < 50; round++) { char text[32]; int length = 1 + round % 13; memset(text, 'a' + round % 26, sizeof text);\n\
                   if (IODataQueueEnqueue(q, text, length) || IODataQueueEnqueue(q, text, 3)) break;\n\
                   n = sizeof out; if (IODataQueueDequeue(q, out, &n) || n != (uint32_t)length || memcmp(out, text, n)) break;\n\
                   n = sizeof out; if (IODataQueueDequeue(q, out, &n) || n != 3 || memcmp(out, text, 3)) break; good++; }\n\
                 n = 1; IODataQueueEnqueue(q, \"ab\", 2); printf(\" %d %x\", good, (unsigned)IODataQueueDequeue(q, out, &n));\n\
                 printf(\" %u %x\\n\", IODataQueuePeek(q)->size, (unsigned)IODataQueueEnqueue(q, out, 64)); IOServiceClose(c);";
            let body = format!("#include <IOKit/IODataQueueClient.h>\n{body}");
            let (head, rest) = body.split_once('\n').unwrap();
            let ran = Program::c_with(head, rest).on("shared-buffer").run();
            assert_eq!(ran.well(), "0 e00002e7 50 e00002db 2 e00002e8\n");
        }),
    ]
}
