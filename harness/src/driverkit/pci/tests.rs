use super::{
    BarInfo, BarType, DmaCommand, DmaError, DmaMaster, Iommu, MockPciDevice, PciBar,
    PciDescription, PciDevice, PciDeviceModel, ResetType, command, config_offset,
};
use crate::IoReturn;
use crate::driverkit::bridge::{ClientMemoryCall, copy_client_memory};
use crate::driverkit::testing::{in_simulated_process, lints, texts};
use crate::driverkit::{
    BufferMemoryDescriptor, DextProcess, Direction, DispatchQueue, InterruptDispatchSource,
    InterruptLines, InterruptType, MappingOptions, MemoryDescriptor, OsAction, OsObject,
    OsSharedPtr, os_log,
};
use crate::memory::{
    AccessError, Backing, FifoRegister, Memory, PlainRegister, RegisterFile, Registers, Width,
};
use crate::schedule::Schedule;
use std::sync::{Arc, Mutex};

/// What a device was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn tell(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl PciDeviceModel for Told {
    fn config_read(&self, offset: u64, width: Width, stored: u32) -> u32 {
        if (offset, width) == (0x44, Width::Four) { 0xfeed } else { stored }
    }

    fn config_written(&self, offset: u64, width: Width, value: u32) {
        self.tell(format!("{offset:#x} {} {value:#x}", width.bytes()));
    }

    fn reset(&self, kind: ResetType) -> IoReturn {
        self.tell(format!("{kind:?}"));
        if kind == ResetType::Function { IoReturn::UNSUPPORTED } else { IoReturn::SUCCESS }
    }

    fn removed(&self) {
        self.tell("removed".to_owned());
    }
}

struct Bench {
    process: DextProcess,
    told: Told,
    fifo: Arc<FifoRegister>,
    memory: Arc<Backing>,
    dma: DmaMaster,
    lines: InterruptLines,
    device: MockPciDevice,
    pci: OsSharedPtr<PciDevice>,
}

/// A device with registers behind BAR 0, 64 KiB of memory behind BAR 2 and 3, and no other.
fn bench<R>(iommu: Iommu, test: impl FnOnce(&Bench, &Schedule) -> R) -> R {
    in_simulated_process(1, |process, schedule| {
        let (told, fifo) = (Told::default(), Arc::new(FifoRegister::new(8, 0)));
        let file = RegisterFile::new().with(0x00, Width::Four, Arc::clone(&fifo)).with(
            0x08,
            Width::Eight,
            PlainRegister::new(0x1122_3344_5566_7788),
        );
        let memory = Backing::new(0x1_0000);
        let (dma, lines) =
            (DmaMaster::new(iommu), InterruptLines::new(&[InterruptType::PCI_MESSAGED]));
        let mut description = PciDescription {
            vendor_id: 0x10de,
            device_id: 0x2504,
            subsystem_vendor_id: 0x1043,
            subsystem_id: 0x881d,
            revision_id: 0xa1,
            class_code: 0x03_00_00,
            capabilities: vec![(0x01, vec![0; 6]), (0x10, vec![2, 0, 0xaa, 0xbb])],
            interrupts: Some(lines.clone()),
            dma: Some(dma.clone()),
            ..PciDescription::default()
        };
        let registers = Registers::new(schedule, 0x4000, file);
        description.bars[0] = Some(PciBar::memory32(registers));
        description.bars[2] = Some(PciBar::memory64_prefetchable(Arc::<Backing>::clone(&memory)));
        let device = MockPciDevice::new(description, told.clone());
        let pci = PciDevice::from_provider(&device.provider()).map(OsSharedPtr::adopt).unwrap();
        assert_eq!(pci.open(), IoReturn::SUCCESS);
        pci.configuration_write16(
            config_offset::COMMAND,
            command::MEMORY_SPACE | command::BUS_MASTER,
        );
        told.take();
        let process = process.clone();
        test(&Bench { process, told, fifo, memory, dma, lines, device, pci }, schedule)
    })
}

#[test]
fn the_configuration_space_tells_of_the_device() {
    bench(Iommu::Enforcing, |bench, _| {
        let pci = &bench.pci;
        assert_eq!(pci.configuration_read32(0), 0x2504_10de);
        assert_eq!(pci.configuration_read16(config_offset::DEVICE_ID), 0x2504);
        assert_eq!(pci.configuration_read32(8), 0x0300_00a1);
        assert_eq!(pci.configuration_read32(0x2c), 0x881d_1043);
        assert_eq!(pci.configuration_read8(config_offset::STATUS), 0x10, "it has capabilities");
        assert_eq!(pci.find_pci_capability(0x01, 0), Ok(0x40));
        assert_eq!(pci.find_pci_capability(0x10, 0), Ok(0x48));
        assert_eq!(pci.find_pci_capability(0x10, 0x48), Err(IoReturn::NOT_FOUND));
        assert_eq!(pci.configuration_read16(0x4c), 0xbbaa);
        assert_eq!(pci.configuration_read32(0x44), 0xfeed, "the model's own");
        // Outside, and not aligned: as where nobody answers.
        assert_eq!(pci.configuration_read32(4096), u32::MAX);
        assert_eq!(pci.configuration_read32(2), u32::MAX);
        assert_eq!(pci.configuration_read32(0xffc), 0);
    });
}

#[test]
fn only_what_can_be_written_is_and_the_model_hears_of_it() {
    bench(Iommu::Enforcing, |bench, _| {
        let pci = &bench.pci;
        pci.configuration_write32(0, 0);
        assert_eq!(pci.configuration_read32(0), 0x2504_10de, "identity is fixed");
        pci.configuration_write8(config_offset::INTERRUPT_LINE, 0x5a);
        assert_eq!(pci.configuration_read32(0x3c), 0x5a);
        pci.configuration_write16(2, 7);
        pci.configuration_write32(3, 7);
        assert_eq!(bench.told.take(), ["0x0 4 0x0", "0x3c 1 0x5a", "0x2 2 0x7"]);
        // Sizing: all ones come back without the bits below the size, with those of the kind.
        pci.configuration_write32(config_offset::BASE_ADDRESS_0, u32::MAX);
        assert_eq!(pci.configuration_read32(config_offset::BASE_ADDRESS_0), 0xffff_c000);
        pci.configuration_write32(0x18, u32::MAX);
        assert_eq!(pci.configuration_read32(0x18), 0xffff_000c);
        bench.device.set_config(config_offset::DEVICE_ID, &[9, 0]);
        assert_eq!(pci.configuration_read16(config_offset::DEVICE_ID), 9);
    });
}

#[test]
fn bars_have_an_index_a_size_and_a_kind() {
    bench(Iommu::Enforcing, |bench, _| {
        let pci = &bench.pci;
        let info = |memory_index, size, kind| Ok(BarInfo { memory_index, size, kind });
        assert_eq!(pci.bar_info(0), info(0, 0x4000, BarType::Memory32));
        assert_eq!(pci.bar_info(2), info(1, 0x1_0000, BarType::Memory64Prefetchable));
        assert_eq!(pci.bar_info(1), Err(IoReturn::NOT_FOUND));
        assert_eq!(pci.bar_info(6), Err(IoReturn::NOT_FOUND));
        assert_eq!(pci.bar_info(7), Err(IoReturn::BAD_ARGUMENT));
        bench.fifo.push(5);
        bench.fifo.push(6);
        assert_eq!(pci.memory_read32(0, 0), 5);
        assert_eq!(pci.memory_read16(0, 0), 6, "each read takes a word");
        assert_eq!(pci.memory_read64(0, 8), 0x1122_3344_5566_7788);
        assert_eq!(pci.memory_read8(0, 15), 0x11);
        pci.memory_write16(1, 0x10, 0xabcd);
        assert_eq!(bench.memory.load_word(0x10, Width::Four), Ok(0xabcd));
        assert_eq!(pci.memory_read32(0, 0x4000), u32::MAX, "behind its end");
        assert_eq!(pci.memory_read32(2, 0), u32::MAX, "no such memory");
    });
}

#[test]
fn a_device_is_open_to_one_driver_and_silent_to_others() {
    bench(Iommu::Enforcing, |bench, _| {
        let provider = bench.device.provider();
        let other = PciDevice::from_provider(&provider).map(OsSharedPtr::adopt).unwrap();
        assert_eq!(other.open(), IoReturn::NOT_OPEN, "what the kernel's session call says");
        assert_eq!(other.configuration_read32(0), u32::MAX);
        assert_eq!(other.memory_read8(0, 8), 0xff);
        assert_eq!(other.copy_device_memory_with_index(0).err(), Some(IoReturn::NOT_OPEN));
        bench.pci.close();
        assert_eq!(bench.pci.configuration_read32(0), u32::MAX);
        assert_eq!(other.open(), IoReturn::SUCCESS);
        assert_eq!(other.configuration_read32(0), 0x2504_10de);
        // The one that has it ends without a close.
        drop(other);
        assert_eq!(bench.pci.open(), IoReturn::SUCCESS);
        let nobody = crate::driverkit::Provider::new("IOUserResources");
        assert!(PciDevice::from_provider(&nobody).is_none());
    });
}

/// Answers one `CopyClientMemoryForType` as a driver without a cache does.
fn answer(bench: &Bench, index: u8) -> crate::boundary::DescriptorRange {
    let answered =
        copy_client_memory(&bench.process, 1, 0, ClientMemoryCall::Map, |_, _, memory| {
            match bench.pci.copy_device_memory_with_index(index) {
                Ok(copied) => *memory = Some(copied),
                Err(code) => return code,
            }
            IoReturn::SUCCESS
        });
    answered.unwrap().unwrap().descriptor
}

#[test]
fn copies_of_a_bar_are_one_descriptor_to_the_kernel() {
    bench(Iommu::Enforcing, |bench, _| {
        let (first, second) = (answer(bench, 0), answer(bench, 0));
        assert_eq!(first, second);
        assert_eq!(first.length, 0x4000);
        assert_ne!(first.root, answer(bench, 1).root);
        assert!(lints(&bench.process).is_empty(), "{}", texts(&bench.process));
        let unsupported = bench.pci.copy_device_memory_with_index(2).err();
        assert_eq!(unsupported, Some(IoReturn::UNSUPPORTED));
        let bad = bench.pci.copy_device_memory_with_index(7).err();
        assert_eq!(bad, Some(IoReturn::BAD_ARGUMENT));
        // The dext's own mapping runs the device, too.
        let memory = bench.pci.copy_device_memory_with_index(0).map(OsSharedPtr::adopt).unwrap();
        let map = memory.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
        let map = map.map(OsSharedPtr::adopt).unwrap();
        bench.fifo.push(9);
        assert_eq!((map.load::<u32>(0), map.load::<u32>(0)), (Ok(9), Ok(0)));
        assert!(map.is_registers());
    });
}

#[test]
fn a_reset_is_the_models_and_switches_decoding_off() {
    bench(Iommu::Enforcing, |bench, _| {
        let pci = &bench.pci;
        assert_eq!(pci.reset(ResetType::Function), IoReturn::UNSUPPORTED);
        assert_eq!(pci.memory_read64(0, 8), 0x1122_3344_5566_7788, "nothing has happened");
        assert_eq!(pci.reset(ResetType::Hot), IoReturn::SUCCESS);
        assert_eq!(bench.told.take(), ["Function", "Hot"]);
        assert_eq!(bench.device.command(), 0);
        assert_eq!(pci.memory_read64(0, 8), u64::MAX);
        pci.memory_write64(0, 8, 1);
        pci.configuration_write16(config_offset::COMMAND, command::MEMORY_SPACE);
        assert_eq!(pci.memory_read64(0, 8), 0x1122_3344_5566_7788, "the write was dropped");
    });
}

#[test]
fn a_device_that_is_gone_reads_all_ones() {
    bench(Iommu::Enforcing, |bench, _| {
        let memory = bench.pci.copy_device_memory_with_index(0).map(OsSharedPtr::adopt).unwrap();
        let map = memory.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
        let map = map.map(OsSharedPtr::adopt).unwrap();
        bench.device.remove();
        bench.device.remove();
        assert_eq!(bench.told.take(), ["removed"]);
        let pci = &bench.pci;
        assert_eq!(pci.configuration_read32(0), u32::MAX);
        assert_eq!(pci.configuration_read8(0), 0xff);
        assert_eq!((map.load::<u16>(8), map.read_vec(4, 3)), (Ok(0xffff), Ok(vec![0xff; 3])));
        assert_eq!((map.store::<u32>(8, 0), map.swap::<u8>(8, 0)), (Ok(()), Ok(0xff)));
        assert!(matches!(map.load::<u32>(2), Err(AccessError::Unaligned { .. })));
        assert!(matches!(map.load::<u32>(0x4000), Err(AccessError::OutOfRange { .. })));
        assert_eq!(pci.reset(ResetType::Hot), IoReturn::NO_DEVICE);
        assert_eq!(bench.dma.write(0x8000_0000, &[1]), Err(not_master(0x8000_0000)));
        assert_eq!(pci.find_pci_capability(1, 0), Err(IoReturn::NOT_FOUND));
    });
}

fn not_master(address: u64) -> DmaError {
    DmaError::NotMaster { address }
}

fn command(bench: &Bench) -> OsSharedPtr<DmaCommand> {
    OsSharedPtr::adopt(DmaCommand::create(&bench.pci).unwrap())
}

#[test]
fn a_device_reaches_what_is_prepared_and_as_long_as_it_is() {
    bench(Iommu::Enforcing, |bench, _| {
        let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, 0x6000, 0);
        let buffer = buffer.map(OsSharedPtr::adopt).unwrap();
        let command = command(bench);
        let prepared = command.prepare_for_dma(&buffer, 0x10, 0x5000).unwrap();
        assert_eq!(prepared.flags, Direction::IN_OUT);
        let [segment] = prepared.segments[..] else { panic!("{prepared:?}") };
        assert_eq!((segment.length, segment.address % 0x1000), (0x5000, 0x10));
        assert_eq!(buffer.retain_count(), 2, "it is held meanwhile");
        assert_eq!(command.prepare_for_dma(&buffer, 0, 1), Err(IoReturn::BUSY));

        bench.dma.write(segment.address + 0x4ffe, &[1, 2]).unwrap();
        assert_eq!(buffer.address_range().read_vec(0x10 + 0x4ffe, 3).unwrap(), [1, 2, 0]);
        buffer.address_range().store::<u32>(0x10, 77).unwrap();
        let mut word = [0; 4];
        bench.dma.read(segment.address, &mut word).unwrap();
        assert_eq!(u32::from_le_bytes(word), 77);
        let behind = segment.address + 0x4fff;
        let missed = DmaError::NotPrepared { address: behind, length: 2 };
        assert_eq!(bench.dma.write(behind, &[1, 2]), Err(missed), "it is not cut off");
        assert!(bench.dma.read(segment.address - 1, &mut word).is_err());

        bench.pci.configuration_write16(config_offset::COMMAND, command::MEMORY_SPACE);
        assert_eq!(bench.dma.write(segment.address, &[1]), Err(not_master(segment.address)));
        bench.pci.configuration_write16(config_offset::COMMAND, command::BUS_MASTER);
        assert_eq!(bench.dma.write(segment.address, &[1]), Ok(()));

        assert_eq!(command.complete_dma(), IoReturn::SUCCESS);
        assert_eq!(command.complete_dma(), IoReturn::NOT_READY);
        assert_eq!((buffer.retain_count(), bench.dma.prepared()), (1, 0));
        assert!(bench.dma.write(segment.address, &[1]).is_err());
        for (offset, length) in [(0x6000, 0), (0x6001, 0), (0, 0x6001), (0x5fff, 2)] {
            let refused = command.prepare_for_dma(&buffer, offset, length);
            assert_eq!(refused, Err(IoReturn::BAD_ARGUMENT), "{offset:#x} {length:#x}");
        }
        assert!(lints(&bench.process).is_empty(), "{}", texts(&bench.process));
    });
}

#[test]
fn a_released_command_takes_its_preparation_with_it() {
    bench(Iommu::Enforcing, |bench, _| {
        let buffer = BufferMemoryDescriptor::create(Direction::IN_OUT, 64, 0).unwrap();
        let command = command(bench);
        let address = command.prepare_for_dma(&buffer, 0, 0).unwrap().segments[0].address;
        // The driver lets go of the buffer: what is prepared holds it.
        buffer.release();
        assert_eq!(bench.dma.write(address, &[1]), Ok(()));
        drop(command);
        assert!(bench.dma.write(address, &[1]).is_err());
        let left = bench.process.leaks();
        assert_eq!(left.leaks().len(), 1, "the open device is the bench's: {left}");
    });
}

/// A structure input as an external method gets it.
fn input(bench: &Bench, store: &Arc<Backing>) -> MemoryDescriptor {
    MemoryDescriptor::of_client(
        &bench.process,
        Some(1),
        Some(Arc::<Backing>::clone(store)),
        5000,
        Direction::OUT,
        true,
    )
}

#[test]
fn b5_a_device_cannot_write_a_structure_input() {
    bench(Iommu::Enforcing, |bench, _| {
        let store = Backing::new(5000);
        store.copy_in(0, &[7; 4]).unwrap();
        let memory = input(bench, &store);
        let command = command(bench);
        let prepared = command.prepare_for_dma(&memory, 0, 0).unwrap();
        assert_eq!(prepared.flags, Direction::OUT, "the flags say so");
        let address = prepared.segments[0].address;
        let mut seen = [0; 4];
        bench.dma.read(address, &mut seen).unwrap();
        assert_eq!(seen, [7; 4]);
        for _ in 0..2 {
            assert_eq!(
                bench.dma.write(address + 8, &[1; 8]),
                Err(DmaError::Denied { address: address + 8 })
            );
        }
        assert_eq!(store.load_word(8, Width::Eight), Ok(0));
        insta::assert_snapshot!(texts(&bench.process), @"
        a write through an input descriptor (input-written; B5, I10)
          the device wrote 8 bytes at bus address 0x80000008 to the structure input, which was prepared for it to read only (the flags of PrepareForDMA say so): the write vanishes
          in other code of the dext, 2 times
          mend: write to a buffer of your own, or have the client hand in the memory as the structure output; a structure input is read-only and a snapshot
        ");
        assert_eq!(command.complete_dma(), IoReturn::SUCCESS);
        memory.release();
    });
}

#[test]
fn a_lenient_iommu_lets_it_through_and_the_lint_says_so_all_the_same() {
    bench(Iommu::Lenient, |bench, _| {
        let store = Backing::new(5000);
        let memory = input(bench, &store);
        let command = command(bench);
        let address = command.prepare_for_dma(&memory, 0, 0).unwrap().segments[0].address;
        assert_eq!(bench.dma.write(address, &[1; 8]), Ok(()));
        assert_eq!(store.load_word(0, Width::One), Ok(1));
        assert_eq!(lints(&bench.process), ["input-written"]);
        assert!(texts(&bench.process).contains("vanishes on an Intel Mac"));
        assert_eq!(command.complete_dma(), IoReturn::SUCCESS);
        memory.release();
    });
}

#[test]
fn memory_that_a_device_is_to_fill_only_cannot_be_read() {
    bench(Iommu::Enforcing, |bench, _| {
        let buffer = BufferMemoryDescriptor::create(Direction::IN, 64, 0);
        let buffer = buffer.map(OsSharedPtr::adopt).unwrap();
        let command = command(bench);
        let address = command.prepare_for_dma(&buffer, 0, 0).unwrap().segments[0].address;
        assert_eq!(bench.dma.read(address, &mut [0]), Err(DmaError::Denied { address }));
        assert_eq!(bench.dma.write(address, &[1]), Ok(()));
        assert!(lints(&bench.process).is_empty());
    });
}

#[test]
fn interrupts_come_on_the_lines_of_the_description() {
    bench(Iommu::Enforcing, |bench, schedule| {
        let pci = &bench.pci;
        let configure = |kind, required| pci.configure_interrupts(kind, required);
        assert_eq!(configure(InterruptType::PCI_MESSAGED, 1), IoReturn::SUCCESS);
        assert_eq!(configure(InterruptType::PCI_MESSAGED, 2), IoReturn::NO_RESOURCES);
        assert_eq!(configure(InterruptType::PCI_MESSAGED_X, 1), IoReturn::UNSUPPORTED);
        let queue = OsSharedPtr::adopt(DispatchQueue::create("interrupts").unwrap());
        let source = InterruptDispatchSource::create(&bench.device.provider(), 0, &queue);
        let source = source.map(OsSharedPtr::adopt).unwrap();
        let action = OsAction::interrupt_occurred(|_, count, _| os_log(format!("{count} came")));
        let action = OsSharedPtr::adopt(action);
        assert_eq!(source.set_handler(&action), IoReturn::SUCCESS);
        assert_eq!(source.set_enable(true), IoReturn::SUCCESS);
        bench.lines.raise(0);
        schedule.sleep(std::time::Duration::from_millis(1));
        assert_eq!(bench.process.log(), ["1 came"]);
    });
}

#[test]
#[should_panic(expected = "failed to make BAR 3: it is the second half of the one before")]
fn a_bar_of_64_bits_takes_two() {
    let mut description = PciDescription::default();
    description.bars[2] = Some(PciBar::memory64_prefetchable(Backing::new(0x4000)));
    description.bars[3] = Some(PciBar::memory32(Backing::new(0x4000)));
    let _ = MockPciDevice::new(description, ());
}
