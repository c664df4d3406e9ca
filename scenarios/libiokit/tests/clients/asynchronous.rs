//! Completions and notices: by run loop, by dispatch queue, by a loop of the client's own.

use crate::program::{Program, trial};
use libtest_mimic::Trial;

/// Callbacks of every form, which say what they got, and a count of them.
const CALLBACKS: &str = "static volatile int called;\n\
     __attribute__((__unused__)) static void none(void *r, IOReturn s) { printf(\"none %s %x\\n\", (char *)r, (unsigned)s); called++; }\n\
     __attribute__((__unused__)) static void one(void *r, IOReturn s, void *a) { printf(\"one %s %x %p\\n\", (char *)r, (unsigned)s, a); called++; }\n\
     __attribute__((__unused__)) static void two(void *r, IOReturn s, void *a, void *b) { printf(\"two %s %x %p %p\\n\", (char *)r, (unsigned)s, a, b); called++; }\n\
     __attribute__((__unused__)) static void many(void *r, IOReturn s, void **a, uint32_t n) { printf(\"many %s %x %u %p\\n\", (char *)r, (unsigned)s, n, a[n - 1]); called++; }\n\
     __attribute__((__unused__)) static kern_return_t fire(io_connect_t c, mach_port_t port, void *function, const char *context, uint64_t arguments, uint64_t times) {\n\
       uint64_t reference[8] = {77, (uint64_t)(uintptr_t)function, (uint64_t)(uintptr_t)context};\n\
       uint64_t in[2] = {arguments, times};\n\
       return IOConnectCallAsyncScalarMethod(c, 8, port, reference, 3, in, 2, NULL, NULL); }\n";

const OPEN: &str = "io_connect_t c = open_service(find(\"BoundaryProbe\"));\n\
     IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);\n\
     mach_port_t wake = IONotificationPortGetMachPort(port); (void)wake;\n";

const CLOSE: &str = "IOServiceClose(c); IONotificationPortDestroy(port);\n";

fn client(functions: &str, body: &str) -> Program {
    let functions = format!("{CALLBACKS}{functions}");
    Program::c_with(&functions, &format!("{OPEN}{body}\n{CLOSE}")).on("boundary-probe")
}

/// Live, recorded, and replayed: each time the same is said.
#[track_caller]
fn always(functions: &str, body: &str, expected: &str) {
    let live = client(functions, body);
    let tape = live.path("t.tape.jsonl").to_str().unwrap().to_owned();
    let live = live.set("DEXTAPE_RECORD", &tape);
    assert_eq!(live.run().well(), expected, "recorded");
    let functions = format!("{CALLBACKS}{functions}");
    let replay = Program::c_with(&functions, &format!("{OPEN}{body}\n{CLOSE}"));
    let replay = replay.set("DEXTAPE_TAPE", &tape).set("DEXTAPE_STRICT", "1");
    assert_eq!(replay.run().well(), expected, "replayed");
}

pub(crate) fn trials() -> Vec<Trial> {
    let always = |name: &str,
                  functions: &'static str,
                  body: &'static str,
                  expected: &'static str| {
        trial(&format!("asynchronous::{name}"), &["gcc"], move || always(functions, body, expected))
    };
    vec![
        always(
            "D16_the_run_loop_calls_by_the_number_of_arguments",
            "",
            "CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);\n\
             printf(\"%x\\n\", (unsigned)fire(c, wake, none, \"a\", 0, 1)); fire(c, wake, one, \"b\", 1, 1);\n\
             fire(c, wake, two, \"c\", 2, 2); fire(c, wake, many, \"d\", 3, 1); fire(c, wake, many, \"e\", 16, 1);\n\
             while (called < 6) CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1, true);\n\
             printf(\"%d\\n\", (int)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0, true));",
            "0\nnone a e00002eb\none b e00002eb 0x100000001\ntwo c e00002eb 0x100000001 0x200000002\n\
             two c e00002eb 0x100000001 0x200000002\nmany d e00002eb 3 0x300000003\n\
             many e e00002eb 16 0x1000000010\n3\n",
        ),
        always(
            "D13_seventeen_arguments_are_dropped_and_nothing_comes",
            "",
            "CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);\n\
             printf(\"%x\", (unsigned)fire(c, wake, many, \"a\", 17, 1));\n\
             printf(\" %d\\n\", (int)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.05, true));",
            "0 3\n",
        ),
        always(
            "D22_a_dispatch_queue_calls_on_another_thread",
            "static pthread_t first; static dispatch_semaphore_t done;\n\
             static void there(void *r, IOReturn s, void *a) { printf(\"there %s %x %p %d\\n\", (char *)r, (unsigned)s, a, pthread_equal(pthread_self(), first)); dispatch_semaphore_signal(done); }\n",
            "first = pthread_self(); done = dispatch_semaphore_create(0);\n\
             dispatch_queue_t queue = dispatch_queue_create(\"com.example.q\", DISPATCH_QUEUE_SERIAL);\n\
             IONotificationPortSetDispatchQueue(port, queue);\n\
             for (int i = 0; i < 2; i++) { fire(c, wake, there, \"x\", 1, 1); dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER); }\n\
             IONotificationPortSetDispatchQueue(port, NULL); dispatch_release(queue); dispatch_release(done);",
            "there x e00002eb 0x100000001 0\nthere x e00002eb 0x100000001 0\n",
        ),
        always(
            "D15_a_loop_of_its_own_sees_the_message_itself",
            "",
            "struct { mach_msg_header_t header; unsigned char rest[512]; } m;\n\
             uint64_t reference[8] = {77, 11, 22, 33}; uint64_t in[2] = {2, 1};\n\
             IOConnectCallAsyncScalarMethod(c, 8, wake, reference, 4, in, 2, NULL, NULL);\n\
             kern_return_t kr = mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, wake, 0, 0);\n\
             uint32_t *w = (uint32_t *)&m; uint64_t *l = (uint64_t *)&m; uint64_t a, b;\n\
             memcpy(&a, (char *)&m + 100, 8); memcpy(&b, (char *)&m + 108, 8);\n\
             printf(\"%x id %d size %d content %u type %u remote %u local %d\\n\", (unsigned)kr, m.header.msgh_id,\n\
                    (int)m.header.msgh_size, w[6], w[7], m.header.msgh_remote_port, m.header.msgh_local_port == wake);\n\
             printf(\"reference %d %d %d %d %d result %x args %llx %llx\\n\", (int)l[4], (int)l[5], (int)l[6], (int)l[7],\n\
                    (int)l[8], w[24], (unsigned long long)a, (unsigned long long)b);\n\
             kr = mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, wake, 10, 0);\n\
             printf(\"%x %d\\n\", (unsigned)kr, (int)reference[0]);",
            "0 id 53 size 120 content 20 type 150 remote 0 local 1\n\
             reference 0 11 22 33 0 result e00002eb args 100000001 200000002\n10004003 77\n",
        ),
        always(
            "messages_that_do_not_fit_are_said_and_kept_on_demand",
            "",
            "struct { mach_msg_header_t header; unsigned char rest[512]; } m;\n\
             fire(c, wake, one, \"a\", 1, 1);\n\
             printf(\"%x\", (unsigned)mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_LARGE, 0, 112, wake, 0, 0));\n\
             printf(\" %d\", (int)m.header.msgh_size);\n\
             printf(\" %x\\n\", (unsigned)mach_msg(&m.header, MACH_RCV_MSG, 0, 120, wake, 0, 0));\n\
             IODispatchCalloutFromMessage(NULL, &m.header, port);\n\
             m.header.msgh_id = 54; IODispatchCalloutFromMessage(NULL, &m.header, port);",
            "10004004 112 0\none a e00002eb 0x100000001\n",
        ),
        always(
            "what_the_dext_writes_after_the_return_comes_with_the_completion",
            "",
            "static unsigned char room[6001]; memset(room, 0x11, sizeof room);\n\
             struct { mach_msg_header_t header; unsigned char rest[512]; } m;\n\
             uint64_t reference[1] = {0}, in[1] = {20}; size_t size = 6000;\n\
             kern_return_t kr = IOConnectCallAsyncMethod(c, 14, wake, reference, 1, in, 1, NULL, 0, NULL, NULL, room, &size);\n\
             printf(\"%x %zu: %x %x\\n\", (unsigned)kr, size, room[0], room[5999]);\n\
             kr = mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, wake, 0, 0);\n\
             printf(\"%x: %x %x %x\\n\", (unsigned)kr, room[0], room[5999], room[6000]);",
            "0 6000: 11 11\n0: cd cd 11\n",
        ),
        trial("asynchronous::D16_a_null_callback_faults", &["gcc"], || {
            let body = "struct { mach_msg_header_t header; unsigned char rest[512]; } m; uint64_t in[2] = {0, 1};\n\
                 IOConnectCallAsyncScalarMethod(c, 8, wake, NULL, 0, in, 2, NULL, NULL);\n\
                 mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, wake, 0, 0);\n\
                 printf(\"%d\\n\", FAULTS(IODispatchCalloutFromMessage(NULL, &m.header, port)));";
            assert_eq!(client("", body).run().well(), "1\n");
        }),
        trial("asynchronous::D19_what_comes_to_a_port_that_is_gone_is_lost", &["gcc"], || {
            let body = "mach_port_t p; IOCreateReceivePort(53, &p);\n\
                 mach_port_mod_refs(mach_task_self(), p, MACH_PORT_RIGHT_RECEIVE, -1);\n\
                 printf(\"%x\\n\", (unsigned)fire(c, p, one, \"a\", 1, 1));";
            assert_eq!(client("", body).run().well(), "1000000a\n");
        }),
        trial("asynchronous::a_receive_ends_when_its_port_is_destroyed", &["gcc"], || {
            let functions = "static mach_port_t p;\n\
                 static void *receive(void *u) { (void)u; struct { mach_msg_header_t h; char rest[64]; } m;\n\
                 printf(\"%x\\n\", (unsigned)mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, p, 0, 0)); return NULL; }\n";
            let body = "mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &p); pthread_t t;\n\
                 pthread_create(&t, NULL, receive, NULL); usleep(50000);\n\
                 mach_port_destroy(mach_task_self(), p); pthread_join(t, NULL);";
            assert_eq!(client(functions, body).run().well(), "10004009\n");
        }),
        trial("asynchronous::messages_of_the_clients_own_arrive", &["gcc"], || {
            let body = "mach_port_t p; mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &p);\n\
                 struct { mach_msg_header_t h; char text[8]; char room[64]; } m = {0};\n\
                 m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0); m.h.msgh_remote_port = p;\n\
                 m.h.msgh_id = 7; strcpy(m.text, \"hello\"); m.h.msgh_size = 32;\n\
                 printf(\"%x\", (unsigned)mach_msg(&m.h, MACH_SEND_MSG, 32, 0, 0, 0, 0)); memset(&m, 0, sizeof m);\n\
                 printf(\" %x\", (unsigned)mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, p, 0, 0));\n\
                 printf(\" %d %s %d\\n\", m.h.msgh_id, m.text, m.h.msgh_local_port == p);\n\
                 mach_port_destroy(mach_task_self(), p);";
            assert_eq!(client("", body).run().well(), "0 0 7 hello 1\n");
        }),
        trial("asynchronous::a_timer_and_a_stop_end_the_run_loop", &["gcc"], || {
            let functions = "static void tick(CFRunLoopTimerRef t, void *info) { (void)t; int *n = info;\n\
                 printf(\"tick %d\\n\", ++*n); if (*n == 3) CFRunLoopStop(CFRunLoopGetCurrent()); }\n";
            let body = "int n = 0; CFRunLoopTimerContext context = {0}; context.info = &n;\n\
                 CFRunLoopTimerRef t = CFRunLoopTimerCreate(NULL, CFAbsoluteTimeGetCurrent() + 0.01, 0.01, 0, 0, tick, &context);\n\
                 CFRunLoopAddTimer(CFRunLoopGetCurrent(), t, kCFRunLoopCommonModes); CFRunLoopRun();\n\
                 CFRunLoopTimerInvalidate(t); CFRelease(t);\n\
                 printf(\"%d\\n\", (int)CFRunLoopRunInMode(CFSTR(\"other\"), 0.01, true));";
            let ran = client(functions, body).run();
            assert_eq!(ran.well(), "tick 1\ntick 2\ntick 3\n3\n");
        }),
        trial("asynchronous::an_empty_run_loop_of_another_thread_is_finished", &["gcc"], || {
            let functions = "static void *run(void *u) { (void)u;\n\
                 printf(\"%d\\n\", (int)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 9, true)); return NULL; }\n";
            let body = "pthread_t t; pthread_create(&t, NULL, run, NULL); pthread_join(t, NULL);";
            assert_eq!(client(functions, body).run().well(), "1\n");
        }),
        trial("asynchronous::another_thread_stops_the_run_loop", &["gcc"], || {
            let functions =
                "static void *stop(void *l) { usleep(30000); CFRunLoopStop(l); return NULL; }\n";
            let body = "pthread_t t; CFRunLoopRef l = CFRunLoopGetCurrent();\n\
                 CFRunLoopAddSource(l, IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);\n\
                 pthread_create(&t, NULL, stop, l);\n\
                 printf(\"%d\\n\", (int)CFRunLoopRunInMode(kCFRunLoopDefaultMode, 9, false)); pthread_join(t, NULL);";
            assert_eq!(client(functions, body).run().well(), "2\n");
        }),
        always(
            "a_termination_is_noticed_by_match_and_by_interest",
            "static void gone(void *r, io_iterator_t it) { io_service_t s; while ((s = IOIteratorNext(it))) { printf(\"%s gone\\n\", (char *)r); IOObjectRelease(s); } called++; }\n\
             static void message(void *r, io_service_t s, natural_t type, void *a) { (void)a; printf(\"%s %d %x\\n\", (char *)r, s != 0, (unsigned)type); called++; }\n",
            "CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);\n\
             io_iterator_t here, gone_it; io_object_t interest; io_service_t s = find(\"BoundaryProbe\"), t; int count = 0;\n\
             IOServiceAddMatchingNotification(port, kIOFirstMatchNotification, IOServiceMatching(\"BoundaryProbe\"), gone, \"new\", &here);\n\
             while ((t = IOIteratorNext(here))) count++, IOObjectRelease(t);\n\
             IOServiceAddMatchingNotification(port, kIOTerminatedNotification, IOServiceMatching(\"BoundaryProbe\"), gone, \"it\", &gone_it);\n\
             while ((t = IOIteratorNext(gone_it))) count += 10, IOObjectRelease(t);\n\
             IOServiceAddInterestNotification(port, s, kIOGeneralInterest, message, \"interest\", &interest);\n\
             printf(\"%d there\\n\", count);\n\
             IOConnectCallScalarMethod(c, 12, NULL, 0, NULL, NULL);\n\
             while (called < 2) CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1, true);\n\
             IOObjectRelease(here); IOObjectRelease(gone_it); IOObjectRelease(interest); IOObjectRelease(s);",
            "1 there\nit gone\ninterest 1 e0000010\n",
        ),
        trial("asynchronous::a_replay_does_not_wait_for_ever", &["gcc"], || {
            let fired = "fire(c, wake, one, \"a\", 1, 1); struct { mach_msg_header_t h; char rest[512]; } m; \
                 printf(\"%x\\n\", (unsigned)mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, wake, 0, 0));";
            let live = client("", fired);
            let tape = live.path("t.tape.jsonl").to_str().unwrap().to_owned();
            let live = live.set("DEXTAPE_RECORD", &tape);
            assert_eq!(live.run().well(), "0\n");
            // Once more than it was recorded, in each way to wait.
            for more in [
                "mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, wake, 0, 0);",
                "CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode); CFRunLoopRun();",
                "dispatch_semaphore_wait(dispatch_semaphore_create(0), DISPATCH_TIME_FOREVER);",
            ] {
                let ran = client("", &format!("{fired}\nfflush(stdout);\n{more}"));
                let replay = ran.set("DEXTAPE_SCENARIO", "").set("DEXTAPE_TAPE", &tape);
                let ran = replay.set("DEXTAPE_PATIENCE", "0.5").run();
                assert_eq!((ran.code, &*ran.out), (Some(101), "0\n"), "{more}: {ran}");
                let why = "nobody has gone on for 500ms, and the tape holds more";
                assert!(ran.err.contains(why), "{more}: {ran}");
            }
        }),
        trial("asynchronous::queues_groups_and_times", &["gcc"], || {
            let functions = "static int sum; static void add(void *n) { __sync_fetch_and_add(&sum, (int)(intptr_t)n); }\n\
                 static void last(void *s) { dispatch_semaphore_signal(s); }\n";
            let body = "dispatch_queue_t q = dispatch_queue_create(\"q\", DISPATCH_QUEUE_CONCURRENT); dispatch_group_t g = dispatch_group_create();\n\
                 dispatch_semaphore_t s = dispatch_semaphore_create(0);\n\
                 for (intptr_t i = 1; i <= 100; i++) dispatch_group_async_f(g, i % 2 ? q : dispatch_get_global_queue(0, 0), (void *)i, add);\n\
                 printf(\"%d\", (int)dispatch_group_wait(g, DISPATCH_TIME_FOREVER)); printf(\" %d\", sum);\n\
                 dispatch_group_notify_f(g, q, s, last); dispatch_semaphore_wait(s, DISPATCH_TIME_FOREVER);\n\
                 printf(\" %d\", dispatch_semaphore_wait(s, dispatch_time(DISPATCH_TIME_NOW, 10000000)) != 0);\n\
                 dispatch_after_f(dispatch_time(DISPATCH_TIME_NOW, 10000000), q, s, last);\n\
                 printf(\" %d\", (int)dispatch_semaphore_wait(s, DISPATCH_TIME_FOREVER));\n\
                 dispatch_sync_f(q, (void *)50, add); printf(\" %d\\n\", sum);\n\
                 dispatch_release(q); dispatch_release(g); dispatch_release(s);";
            assert_eq!(client(functions, body).run().well(), "0 5050 1 0 5100\n");
        }),
        trial("asynchronous::a_receive_source_of_a_queue", &["gcc"], || {
            let functions = "static dispatch_semaphore_t done; static void ready(void *p) { (void)p;\n\
                 struct { mach_msg_header_t h; char rest[512]; } m; mach_port_t name = *(mach_port_t *)p;\n\
                 if (mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, name, 0, 0) == 0) printf(\"size %d\\n\", (int)m.h.msgh_size);\n\
                 dispatch_semaphore_signal(done); }\n";
            let body = "done = dispatch_semaphore_create(0); mach_port_t p; IOCreateReceivePort(53, &p);\n\
                 dispatch_source_t source = dispatch_source_create(DISPATCH_SOURCE_TYPE_MACH_RECV, p, 0, dispatch_get_global_queue(0, 0));\n\
                 dispatch_set_context(source, &p); dispatch_source_set_event_handler_f(source, ready); dispatch_resume(source);\n\
                 /* It waits already when the port becomes a wake port. */ usleep(30000);\n\
                 fire(c, p, one, \"a\", 1, 1); dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);\n\
                 dispatch_source_cancel(source); dispatch_release(source); dispatch_release(done);\n\
                 mach_port_mod_refs(mach_task_self(), p, MACH_PORT_RIGHT_RECEIVE, -1);";
            assert_eq!(client(functions, body).run().well(), "size 112\n");
        }),
        trial(
            "asynchronous::a_receive_that_waits_before_the_port_is_a_wake_port",
            &["gcc"],
            || {
                let functions = "static void *take(void *p) {\n\
                 struct { mach_msg_header_t h; char rest[512]; } m; mach_port_t name = *(mach_port_t *)p;\n\
                 printf(\"%x\\n\", mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, name, 20000, 0)); return NULL; }\n";
                let body = "mach_port_t p; IOCreateReceivePort(53, &p); pthread_t t; pthread_create(&t, NULL, take, &p);\n\
                 usleep(30000); fire(c, p, one, \"a\", 1, 1); pthread_join(t, NULL);\n\
                 mach_port_mod_refs(mach_task_self(), p, MACH_PORT_RIGHT_RECEIVE, -1);";
                assert_eq!(client(functions, body).run().well(), "0\n");
            },
        ),
        trial("asynchronous::a_block_as_the_compiler_lays_it_out", &["gcc"], || {
            // What clang makes of `^{ sum += add; }`, written down by hand.
            let functions = "extern void *_NSConcreteStackBlock[32]; static int sum;\n\
                 struct block { void *isa; int flags, reserved; void (*invoke)(struct block *); const void *descriptor; int add; };\n\
                 static void invoke(struct block *b) { sum += b->add; }\n\
                 static const struct { unsigned long reserved, size; } descriptor = {0, sizeof(struct block)};\n\
                 extern void *_Block_copy(const void *); extern void _Block_release(const void *);\n\
                 extern void dispatch_sync(dispatch_queue_t, void *); extern void dispatch_async(dispatch_queue_t, void *);\n";
            let body = "dispatch_queue_t q = dispatch_queue_create(\"q\", NULL);\n\
                 { struct block b = {_NSConcreteStackBlock, 0, 0, invoke, &descriptor, 5}; dispatch_async(q, &b); b.add = 100; }\n\
                 struct block c2 = {_NSConcreteStackBlock, 0, 0, invoke, &descriptor, 7}; dispatch_sync(q, &c2);\n\
                 struct block *h = _Block_copy(&c2); printf(\"%d %d %d\", sum, h != &c2, _Block_copy(h) == h);\n\
                 _Block_release(h); h->invoke(h); _Block_release(h); printf(\" %d\\n\", sum); dispatch_release(q);";
            assert_eq!(client(functions, body).run().well(), "12 1 1 19\n");
        }),
        trial("asynchronous::trap_8_a_call_that_waits_holds_up_nobody", &["gcc"], || {
            let functions = "static io_connect_t waits; static volatile int back; static volatile unsigned code = 1;\n\
                 static void *wait_there(void *u) { (void)u; uint64_t ms = 400; code = IOConnectCallScalarMethod(waits, 10, &ms, 1, NULL, NULL); back++; return NULL; }\n";
            let body = "pthread_t t, u; waits = c; pthread_create(&t, NULL, wait_there, NULL); pthread_create(&u, NULL, wait_there, NULL); usleep(100000);\n\
                 uint64_t n; uint32_t count = 1; io_connect_t d = open_service(find(\"BoundaryProbe\"));\n\
                 for (int i = 0; i < 100; i++) IOConnectCallScalarMethod(c, 0, NULL, 0, NULL, NULL);\n\
                 IOConnectCallScalarMethod(c, 9, NULL, 0, &n, &count); printf(\"%d %d\", (int)n, back);\n\
                 IOServiceClose(d); pthread_join(t, NULL); pthread_join(u, NULL); printf(\" %d %x\\n\", back, code);";
            assert_eq!(client(functions, body).run().well(), "102 0 2 0\n");
        }),
    ]
}
