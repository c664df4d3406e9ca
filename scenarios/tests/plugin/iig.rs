//! A dext as it is written for a Mac: classes in an `.iig` file, methods by `IMPL`, a `Stop` that waits for
//! its cancel handlers, in blocks where the compiler has them.

use crate::compile::{compile, trial};
use dextape::connection::{ConnectionExt, Matching, System};
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape_plugin::{Plugin, header_of_iig};
use libtest_mimic::Trial;
use std::time::Duration;

/// Compilers, and the name of the trial.
const COMPILERS: &[(&[&str], &str)] = &[
    (&["g++", "-std=c++17"], "gxx"),
    (&["clang++", "-std=c++17"], "clangxx"),
    (&["clang++", "-std=c++20", "-fblocks"], "clangxx_with_blocks"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let trials = COMPILERS
        .iter()
        .map(|(compiler, name)| trial(&format!("iig::{name}"), compiler[0], move || run(compiler)));
    trials.collect()
}

/// One class for the service and its user clients, as in Apple's sample.
const TICKER_IIG: &str = "\
#ifndef Ticker_h
#define Ticker_h
#include <DriverKit/IOTimerDispatchSource.iig>
#include <DriverKit/IOUserClient.iig>

class Ticker: public IOUserClient
{
protected:
    /* Named outside of the class. */
    static kern_return_t StaticTicks(OSObject* target, void* reference,
                                     IOUserClientMethodArguments* arguments) LOCALONLY;
public:
    virtual bool init(void) override;
    virtual void free(void) override;
    virtual kern_return_t Start(IOService* provider) override;
    virtual kern_return_t Stop(IOService* provider) override;
    virtual kern_return_t NewUserClient(uint32_t type, IOUserClient** userClient) override;
    virtual kern_return_t ExternalMethod(uint64_t selector, IOUserClientMethodArguments* arguments,
                                         const IOUserClientMethodDispatch* dispatch,
                                         OSObject* target, void* reference) override;
    virtual uint64_t Ticks(uint64_t since);
    virtual void Tick(OSAction* action, uint64_t time) TYPE(IOTimerDispatchSource::TimerOccurred);
};
#endif
";

const TICKER_CPP: &str = r#"
#include "Ticker.h"
#include <DriverKit/DriverKit.h>
#ifdef __BLOCKS__
#define SHARED __block
#define CLOSURE ^
#else
#define SHARED static
#define CLOSURE [this, provider]()
#endif

const IOUserClientMethodDispatch kMethods[] = {{&Ticker::StaticTicks, 0, 1, 0, 1, 0}};

struct Ticker_IVars {
  IODispatchQueue *queue;
  IOTimerDispatchSource *timer;
  OSAction *tick;
  uint64_t ticks;
};

bool Ticker::init() {
  if (!super::init()) return false;
  ivars = IONewZero(Ticker_IVars, 1);
  return ivars != nullptr;
}
void Ticker::free() {
  os_log(OS_LOG_DEFAULT, "free");
  OSSafeReleaseNULL(ivars->tick);
  OSSafeReleaseNULL(ivars->timer);
  OSSafeReleaseNULL(ivars->queue);
  IOSafeDeleteNULL(ivars, Ticker_IVars, 1);
  super::free();
}
kern_return_t IMPL(Ticker, Start) {
  kern_return_t ret = Start(provider, SUPERDISPATCH);
  if (ret == kIOReturnSuccess) ret = IODispatchQueue::Create("Ticker", 0, 0, &ivars->queue);
  if (ret == kIOReturnSuccess) ret = IOTimerDispatchSource::Create(ivars->queue, &ivars->timer);
  if (ret == kIOReturnSuccess) ret = CreateActionTick(sizeof(uint64_t), &ivars->tick);
  if (ret == kIOReturnSuccess) ret = ivars->timer->SetHandler(ivars->tick);
  // A buffer that is mapped the short way, with what a tick counts.
  IOBufferMemoryDescriptor *buffer = nullptr;
  uint64_t address = 0, length = 0, each = 100;
  if (ret == kIOReturnSuccess) ret = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, sizeof each, 0, &buffer);
  if (ret == kIOReturnSuccess) ret = buffer->Map(0, 0, 0, 0, &address, &length);
  if (ret != kIOReturnSuccess || length != sizeof each) return kIOReturnNoMemory;
  memcpy(reinterpret_cast<void *>(address), &each, sizeof each);
  memcpy(ivars->tick->GetReference(), reinterpret_cast<const void *>(address), sizeof each);
  OSSafeReleaseNULL(buffer);
  if (ret == kIOReturnSuccess) ivars->timer->WakeAtTime(kIOTimerClockUptimeRaw, mach_absolute_time() + 1000000, 0);
  return ret;
}
kern_return_t IMPL(Ticker, Stop) {
  SHARED int waits = 0;
  waits = 3;
  retain();
  provider->retain();
  auto done = CLOSURE {
    if (--waits > 0) return;
    os_log(OS_LOG_DEFAULT, "all is cancelled");
    Stop(provider, SUPERDISPATCH);
    release();
    provider->release();
  };
  ivars->tick->Cancel(done);
  ivars->timer->Cancel(done);
  ivars->queue->Cancel(done);
  return kIOReturnSuccess;
}
kern_return_t IMPL(Ticker, NewUserClient) {
  IOService *client = nullptr;
  kern_return_t ret = Create(this, "UserClientProperties", &client);
  *userClient = OSDynamicCast(IOUserClient, client);
  return type == 0 ? ret : kIOReturnUnsupported;
}
kern_return_t Ticker::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                     const IOUserClientMethodDispatch *, OSObject *, void *reference) {
  return super::ExternalMethod(selector, arguments, selector == 0 ? &kMethods[0] : nullptr, this, reference);
}
kern_return_t Ticker::StaticTicks(OSObject *target, void *, IOUserClientMethodArguments *arguments) {
  arguments->scalarOutput[0] = OSDynamicCast(Ticker, target)->Ticks(arguments->scalarInput[0]);
  return kIOReturnSuccess;
}
uint64_t IMPL(Ticker, Ticks) { return ivars->ticks - since; }
void IMPL(Ticker, Tick) {
  ivars->ticks += *static_cast<uint64_t *>(action->GetReference());
  ivars->timer->WakeAtTime(kIOTimerClockUptimeRaw, time + 1000000, 0);
}
DEXTAPE_DEXT(Ticker, "com.example.ticker", DEXTAPE_CLIENT("UserClientProperties", Ticker))
"#;

fn run(compiler: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let header = header_of_iig(TICKER_IIG, "Ticker.iig").unwrap();
    fs_err::write(folder.path().join("Ticker.h"), header).unwrap();
    let source = folder.path().join("Ticker.cpp");
    fs_err::write(&source, TICKER_CPP).unwrap();
    let compiled = compile(compiler, &source);
    let plugin = Plugin::load(&compiled.library).unwrap();
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let published = plugin.publish(&mock).unwrap();
        let system: &dyn System = &*mock;
        let service = system.first_service(&Matching::user_class("Ticker")).unwrap();
        let connection = mock.open(service, 0).unwrap();
        schedule.sleep(Duration::from_micros(4500));
        let ticks = connection.call(0).scalars(&[1]).want_scalars(1).send().unwrap();
        assert_eq!(ticks.scalars[..], [399], "four times 100 but one");
        assert!(connection.close().is_success());
        mock.settle();
        assert_eq!(mock.log(), ["all is cancelled", "free"], "of the user client");
        assert_eq!(mock.leaks(), []);
        // What the service itself made goes with it.
        mock.terminate(published);
        assert_eq!(mock.leaks(), []);
        assert_eq!(mock.log().len(), 4, "{:?}", mock.log());
        assert_eq!(mock.findings(), []);
    });
}
