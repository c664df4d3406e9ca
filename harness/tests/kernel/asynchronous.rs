//! Memory and completions of asynchronous calls.

use dextape::IoReturn;
use dextape::connection::{
    AsyncWake, ConnectionExt, MethodInput, MethodOutput, StructureInput, StructureOutput, System,
};
use dextape::driverkit::{
    DispatchQueue, ExternalMethodArguments, MappingOptions, OsObject, OsSharedPtr, Service,
    UserClient, async_completion,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::SharedBuffer;
use dextape::schedule::Schedule;
use std::sync::Arc;
use std::time::Duration;

/// Copies its input to its output a second after each call, and completes it then.
struct LateCopier;

const DELAY: Duration = Duration::from_secs(1);

impl Service for LateCopier {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(Self)))
    }
}

impl UserClient for LateCopier {
    fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let Some(completion) = &arguments.completion else { return IoReturn::BAD_ARGUMENT };
        let Some(output) = &arguments.structure_output_descriptor else {
            return IoReturn::UNSUPPORTED;
        };
        let Some(input) = &arguments.structure_input_descriptor else {
            return IoReturn::UNSUPPORTED;
        };
        let completion = OsSharedPtr::retaining(completion);
        let output = OsSharedPtr::retaining(output);
        let input = OsSharedPtr::retaining(input);
        // The snapshot is what the input was at the first mapping.
        let from = OsSharedPtr::adopt(
            input.create_mapping(MappingOptions::READ_ONLY, 0, 0, 0, 0).unwrap(),
        );
        let queue = DispatchQueue::copy_default().map(OsSharedPtr::adopt).unwrap();
        queue.dispatch_after(DELAY, move || {
            let to = output.create_mapping(MappingOptions::NONE, 0, 0, 0, 0).unwrap();
            let bytes = from.read_vec(0, input.length()).unwrap();
            to.copy_in(0, &bytes).unwrap();
            to.release();
            async_completion(&completion, IoReturn::SUCCESS, &[bytes.len() as u64]);
        });
        IoReturn::SUCCESS
    }
}

fn with_copier<R>(client: impl FnOnce(&Schedule, &MockSystem) -> R) -> R {
    Schedule::simulate(3, |schedule| {
        let mock = MockSystem::new(schedule);
        let description = ServiceDescription::dext("LateCopier", "com.example.copier");
        mock.publish(description, Arc::new(LateCopier)).unwrap();
        client(schedule, &mock)
    })
}

fn open(mock: &MockSystem) -> Box<dyn dextape::connection::Connection> {
    let services = mock.matching_services(&Default::default()).unwrap();
    mock.open(services[0], 0).unwrap()
}

#[test]
fn a_shared_output_is_filled_after_the_call_has_returned() {
    with_copier(|schedule, mock| {
        let (connection, queue) = (open(mock), mock.completion_queue());
        let input = SharedBuffer::from_bytes(&[7; 6000]);
        let output = SharedBuffer::new(6000);
        connection
            .call(0)
            .input_shared(&input)
            .completing_on(&*queue, &[0, 42])
            .output_shared(&output)
            .unwrap();
        input.memory().store::<u8>(0, 9).unwrap();
        assert_eq!(output.memory().load::<u8>(0), Ok(0), "not yet");
        let completion = queue.wait(None).unwrap();
        assert_eq!(schedule.now(), DELAY);
        assert_eq!((completion.reference[1], completion.arguments[0]), (42, 6000));
        assert_eq!(output.memory().read_vec(0, 6000).unwrap(), [7; 6000], "of the snapshot");
        assert_eq!(connection.close(), IoReturn::SUCCESS);
        drop(connection);
        assert_eq!(mock.leaks(), []);
        assert_eq!(mock.findings(), []);
    });
}

#[test]
fn a_borrowed_input_is_copied_and_a_borrowed_output_refused() {
    with_copier(|_, mock| {
        let (connection, queue) = (open(mock), mock.completion_queue());
        let output = SharedBuffer::new(5000);
        {
            let borrowed = vec![5; 5000];
            let call = connection.call(0).input_bytes(&borrowed).completing_on(&*queue, &[0]);
            call.output_shared(&output).unwrap();
        }
        assert!(queue.wait(None).is_some());
        assert_eq!(output.memory().load::<u8>(4999), Ok(5));
    });
    let refused = std::panic::catch_unwind(|| {
        with_copier(|_, mock| {
            let (connection, queue) = (open(mock), mock.completion_queue());
            let mut room = vec![0; 4097];
            let input = MethodInput { scalars: &[], structure: StructureInput::None };
            let mut output = MethodOutput::new(&mut [], StructureOutput::Bytes(&mut room));
            let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
            connection.call_async_method(0, &wake, &input, &mut output)
        })
    });
    let text = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("4097 bytes in a borrowed slice"), "{text}");
}
