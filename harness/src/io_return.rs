//! `IOReturn`: the only thing a client is ever told about what went wrong.
//!
//! Values are 32 bits wide and compared as unsigned numbers (J2). An IOKit code is made of a system
//! (6 bits), a subsystem (12 bits) and a code (14 bits) (J1).

use std::fmt;
use std::str::FromStr;

/// A result code of the kernel, IOKit, Mach or MIG.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
///
/// let result = IoReturn::BAD_ARGUMENT;
/// assert_eq!(result.to_string(), "kIOReturnBadArgument (0xe00002c2)");
/// assert_eq!("kIOReturnBadArgument".parse(), Ok(result));
/// assert_eq!("0xe00002c2".parse(), Ok(result));
/// assert_eq!("-536870206".parse(), Ok(result));
/// assert!(result.ok().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "a result code says whether the call worked"]
pub struct IoReturn(pub u32);

macro_rules! codes {
    ($($name:ident = $value:literal, $apple:literal;)*) => {
        impl IoReturn {
            $(
                #[doc = concat!("`", $apple, "`, ", stringify!($value), ".")]
                pub const $name: Self = Self($value);
            )*
        }

        /// Every code that has a name of its own: Apple's name and the value. `kIOReturnSuccess`
        /// stands before its synonym `KERN_SUCCESS`.
        pub const NAMED_CODES: &[(&str, IoReturn)] = &[$(($apple, IoReturn::$name),)*];
    };
}

codes! {
    SUCCESS = 0x0000_0000, "kIOReturnSuccess";
    ERROR = 0xe000_02bc, "kIOReturnError";
    NO_MEMORY = 0xe000_02bd, "kIOReturnNoMemory";
    NO_RESOURCES = 0xe000_02be, "kIOReturnNoResources";
    IPC_ERROR = 0xe000_02bf, "kIOReturnIPCError";
    NO_DEVICE = 0xe000_02c0, "kIOReturnNoDevice";
    NOT_PRIVILEGED = 0xe000_02c1, "kIOReturnNotPrivileged";
    BAD_ARGUMENT = 0xe000_02c2, "kIOReturnBadArgument";
    LOCKED_READ = 0xe000_02c3, "kIOReturnLockedRead";
    LOCKED_WRITE = 0xe000_02c4, "kIOReturnLockedWrite";
    EXCLUSIVE_ACCESS = 0xe000_02c5, "kIOReturnExclusiveAccess";
    BAD_MESSAGE_ID = 0xe000_02c6, "kIOReturnBadMessageID";
    UNSUPPORTED = 0xe000_02c7, "kIOReturnUnsupported";
    VM_ERROR = 0xe000_02c8, "kIOReturnVMError";
    INTERNAL_ERROR = 0xe000_02c9, "kIOReturnInternalError";
    IO_ERROR = 0xe000_02ca, "kIOReturnIOError";
    CANNOT_LOCK = 0xe000_02cc, "kIOReturnCannotLock";
    NOT_OPEN = 0xe000_02cd, "kIOReturnNotOpen";
    NOT_READABLE = 0xe000_02ce, "kIOReturnNotReadable";
    NOT_WRITABLE = 0xe000_02cf, "kIOReturnNotWritable";
    NOT_ALIGNED = 0xe000_02d0, "kIOReturnNotAligned";
    BAD_MEDIA = 0xe000_02d1, "kIOReturnBadMedia";
    STILL_OPEN = 0xe000_02d2, "kIOReturnStillOpen";
    RLD_ERROR = 0xe000_02d3, "kIOReturnRLDError";
    DMA_ERROR = 0xe000_02d4, "kIOReturnDMAError";
    BUSY = 0xe000_02d5, "kIOReturnBusy";
    TIMEOUT = 0xe000_02d6, "kIOReturnTimeout";
    OFFLINE = 0xe000_02d7, "kIOReturnOffline";
    NOT_READY = 0xe000_02d8, "kIOReturnNotReady";
    NOT_ATTACHED = 0xe000_02d9, "kIOReturnNotAttached";
    NO_CHANNELS = 0xe000_02da, "kIOReturnNoChannels";
    NO_SPACE = 0xe000_02db, "kIOReturnNoSpace";
    PORT_EXISTS = 0xe000_02dd, "kIOReturnPortExists";
    CANNOT_WIRE = 0xe000_02de, "kIOReturnCannotWire";
    NO_INTERRUPT = 0xe000_02df, "kIOReturnNoInterrupt";
    NO_FRAMES = 0xe000_02e0, "kIOReturnNoFrames";
    MESSAGE_TOO_LARGE = 0xe000_02e1, "kIOReturnMessageTooLarge";
    NOT_PERMITTED = 0xe000_02e2, "kIOReturnNotPermitted";
    NO_POWER = 0xe000_02e3, "kIOReturnNoPower";
    NO_MEDIA = 0xe000_02e4, "kIOReturnNoMedia";
    UNFORMATTED_MEDIA = 0xe000_02e5, "kIOReturnUnformattedMedia";
    UNSUPPORTED_MODE = 0xe000_02e6, "kIOReturnUnsupportedMode";
    UNDERRUN = 0xe000_02e7, "kIOReturnUnderrun";
    OVERRUN = 0xe000_02e8, "kIOReturnOverrun";
    DEVICE_ERROR = 0xe000_02e9, "kIOReturnDeviceError";
    NO_COMPLETION = 0xe000_02ea, "kIOReturnNoCompletion";
    ABORTED = 0xe000_02eb, "kIOReturnAborted";
    NO_BANDWIDTH = 0xe000_02ec, "kIOReturnNoBandwidth";
    NOT_RESPONDING = 0xe000_02ed, "kIOReturnNotResponding";
    ISO_TOO_OLD = 0xe000_02ee, "kIOReturnIsoTooOld";
    ISO_TOO_NEW = 0xe000_02ef, "kIOReturnIsoTooNew";
    NOT_FOUND = 0xe000_02f0, "kIOReturnNotFound";
    INVALID = 0xe000_0001, "kIOReturnInvalid";
    KERN_SUCCESS = 0x0000_0000, "KERN_SUCCESS";
    KERN_INVALID_ADDRESS = 0x0000_0001, "KERN_INVALID_ADDRESS";
    KERN_PROTECTION_FAILURE = 0x0000_0002, "KERN_PROTECTION_FAILURE";
    KERN_NO_SPACE = 0x0000_0003, "KERN_NO_SPACE";
    KERN_INVALID_ARGUMENT = 0x0000_0004, "KERN_INVALID_ARGUMENT";
    KERN_FAILURE = 0x0000_0005, "KERN_FAILURE";
    KERN_RESOURCE_SHORTAGE = 0x0000_0006, "KERN_RESOURCE_SHORTAGE";
    KERN_NOT_RECEIVER = 0x0000_0007, "KERN_NOT_RECEIVER";
    KERN_NO_ACCESS = 0x0000_0008, "KERN_NO_ACCESS";
    KERN_MEMORY_FAILURE = 0x0000_0009, "KERN_MEMORY_FAILURE";
    KERN_MEMORY_ERROR = 0x0000_000a, "KERN_MEMORY_ERROR";
    KERN_ALREADY_IN_SET = 0x0000_000b, "KERN_ALREADY_IN_SET";
    KERN_NOT_IN_SET = 0x0000_000c, "KERN_NOT_IN_SET";
    KERN_NAME_EXISTS = 0x0000_000d, "KERN_NAME_EXISTS";
    KERN_ABORTED = 0x0000_000e, "KERN_ABORTED";
    KERN_INVALID_NAME = 0x0000_000f, "KERN_INVALID_NAME";
    KERN_INVALID_TASK = 0x0000_0010, "KERN_INVALID_TASK";
    KERN_INVALID_RIGHT = 0x0000_0011, "KERN_INVALID_RIGHT";
    KERN_INVALID_VALUE = 0x0000_0012, "KERN_INVALID_VALUE";
    KERN_UREFS_OVERFLOW = 0x0000_0013, "KERN_UREFS_OVERFLOW";
    KERN_INVALID_CAPABILITY = 0x0000_0014, "KERN_INVALID_CAPABILITY";
    KERN_RIGHT_EXISTS = 0x0000_0015, "KERN_RIGHT_EXISTS";
    KERN_INVALID_HOST = 0x0000_0016, "KERN_INVALID_HOST";
    KERN_RPC_SERVER_TERMINATED = 0x0000_002b, "KERN_RPC_SERVER_TERMINATED";
    KERN_TERMINATED = 0x0000_0025, "KERN_TERMINATED";
    KERN_NOT_SUPPORTED = 0x0000_002e, "KERN_NOT_SUPPORTED";
    KERN_OPERATION_TIMED_OUT = 0x0000_0031, "KERN_OPERATION_TIMED_OUT";
    KERN_INSUFFICIENT_BUFFER_SIZE = 0x0000_0034, "KERN_INSUFFICIENT_BUFFER_SIZE";
    KERN_DENIED = 0x0000_0035, "KERN_DENIED";
    KERN_NOT_FOUND = 0x0000_0038, "KERN_NOT_FOUND";
    MIG_TYPE_ERROR = 0xffff_fed4, "MIG_TYPE_ERROR";
    MIG_REPLY_MISMATCH = 0xffff_fed3, "MIG_REPLY_MISMATCH";
    MIG_REMOTE_ERROR = 0xffff_fed2, "MIG_REMOTE_ERROR";
    MIG_BAD_ID = 0xffff_fed1, "MIG_BAD_ID";
    MIG_BAD_ARGUMENTS = 0xffff_fed0, "MIG_BAD_ARGUMENTS";
    MIG_NO_REPLY = 0xffff_fecf, "MIG_NO_REPLY";
    MIG_EXCEPTION = 0xffff_fece, "MIG_EXCEPTION";
    MIG_ARRAY_TOO_LARGE = 0xffff_fecd, "MIG_ARRAY_TOO_LARGE";
    MIG_SERVER_DIED = 0xffff_fecc, "MIG_SERVER_DIED";
    MIG_TRAILER_ERROR = 0xffff_fecb, "MIG_TRAILER_ERROR";
    MACH_SEND_IN_PROGRESS = 0x1000_0001, "MACH_SEND_IN_PROGRESS";
    MACH_SEND_INVALID_DATA = 0x1000_0002, "MACH_SEND_INVALID_DATA";
    MACH_SEND_INVALID_DEST = 0x1000_0003, "MACH_SEND_INVALID_DEST";
    MACH_SEND_TIMED_OUT = 0x1000_0004, "MACH_SEND_TIMED_OUT";
    MACH_SEND_INVALID_VOUCHER = 0x1000_0005, "MACH_SEND_INVALID_VOUCHER";
    MACH_SEND_INTERRUPTED = 0x1000_0007, "MACH_SEND_INTERRUPTED";
    MACH_SEND_MSG_TOO_SMALL = 0x1000_0008, "MACH_SEND_MSG_TOO_SMALL";
    MACH_SEND_INVALID_REPLY = 0x1000_0009, "MACH_SEND_INVALID_REPLY";
    MACH_SEND_INVALID_RIGHT = 0x1000_000a, "MACH_SEND_INVALID_RIGHT";
    MACH_SEND_INVALID_NOTIFY = 0x1000_000b, "MACH_SEND_INVALID_NOTIFY";
    MACH_SEND_INVALID_MEMORY = 0x1000_000c, "MACH_SEND_INVALID_MEMORY";
    MACH_SEND_NO_BUFFER = 0x1000_000d, "MACH_SEND_NO_BUFFER";
    MACH_SEND_TOO_LARGE = 0x1000_000e, "MACH_SEND_TOO_LARGE";
    MACH_SEND_INVALID_TYPE = 0x1000_000f, "MACH_SEND_INVALID_TYPE";
    MACH_SEND_INVALID_HEADER = 0x1000_0010, "MACH_SEND_INVALID_HEADER";
    MACH_SEND_INVALID_TRAILER = 0x1000_0011, "MACH_SEND_INVALID_TRAILER";
    MACH_SEND_INVALID_OPTIONS = 0x1000_0013, "MACH_SEND_INVALID_OPTIONS";
    MACH_SEND_NO_GRANT_DEST = 0x1000_0016, "MACH_SEND_NO_GRANT_DEST";
    MACH_SEND_MSG_FILTERED = 0x1000_0017, "MACH_SEND_MSG_FILTERED";
    MACH_RCV_INVALID_NAME = 0x1000_4002, "MACH_RCV_INVALID_NAME";
    MACH_RCV_TIMED_OUT = 0x1000_4003, "MACH_RCV_TIMED_OUT";
    MACH_RCV_TOO_LARGE = 0x1000_4004, "MACH_RCV_TOO_LARGE";
    MACH_RCV_INTERRUPTED = 0x1000_4005, "MACH_RCV_INTERRUPTED";
    MACH_RCV_PORT_CHANGED = 0x1000_4006, "MACH_RCV_PORT_CHANGED";
    MACH_RCV_INVALID_DATA = 0x1000_4008, "MACH_RCV_INVALID_DATA";
    MACH_RCV_PORT_DIED = 0x1000_4009, "MACH_RCV_PORT_DIED";
    MACH_RCV_IN_SET = 0x1000_400a, "MACH_RCV_IN_SET";
    MACH_RCV_HEADER_ERROR = 0x1000_400b, "MACH_RCV_HEADER_ERROR";
    MACH_RCV_BODY_ERROR = 0x1000_400c, "MACH_RCV_BODY_ERROR";
}

/// The IOKit families that have a range of codes of their own: the name of the subsystem and the
/// first code of its range (J1).
pub const SUBSYSTEMS: &[(&str, u32)] = &[
    ("sub_iokit_common", 0xe000_0000),
    ("sub_iokit_usb", 0xe000_4000),
    ("sub_iokit_firewire", 0xe000_8000),
    ("sub_iokit_block_storage", 0xe001_0000),
    ("sub_iokit_graphics", 0xe001_4000),
    ("sub_iokit_networking", 0xe001_8000),
    ("sub_iokit_bluetooth", 0xe002_0000),
    ("sub_iokit_pmu", 0xe002_4000),
    ("sub_iokit_acpi", 0xe002_8000),
    ("sub_iokit_smbus", 0xe002_c000),
    ("sub_iokit_ahci", 0xe003_0000),
    ("sub_iokit_powermanagement", 0xe003_4000),
    ("sub_iokit_hidsystem", 0xe003_8000),
    ("sub_iokit_scsi", 0xe004_0000),
    ("sub_iokit_usbaudio", 0xe004_4000),
    ("sub_iokit_wirelesscharging", 0xe004_8000),
    ("sub_iokit_nvme", 0xe007_0000),
    ("sub_iokit_thunderbolt", 0xe007_4000),
    ("sub_iokit_graphics_acceleration", 0xe007_8000),
    ("sub_iokit_keystore", 0xe007_c000),
    ("sub_iokit_smc", 0xe008_0000),
    ("sub_iokit_apfs", 0xe008_4000),
    ("sub_iokit_acpiec", 0xe008_8000),
    ("sub_iokit_timesync_avb", 0xe008_c000),
    ("sub_iokit_platform", 0xe00a_8000),
    ("sub_iokit_audio_video", 0xe011_4000),
    ("sub_iokit_cec", 0xe011_8000),
    ("sub_iokit_arc", 0xe011_c000),
    ("sub_iokit_baseband", 0xe020_0000),
    ("sub_iokit_HDA", 0xe03f_8000),
    ("sub_iokit_hsic", 0xe051_c000),
    ("sub_iokit_sdio", 0xe05d_0000),
    ("sub_iokit_wlan", 0xe082_0000),
    ("sub_iokit_appleembeddedsleepwakehandler", 0xe082_4000),
    ("sub_iokit_appleppm", 0xe082_8000),
    ("sub_iokit_vendor_specific", 0xe3ff_8000),
    ("sub_iokit_reserved", 0xe3ff_c000),
];

/// Bits of a code below its subsystem (J1).
const CODE_BITS: u32 = 14;

impl IoReturn {
    /// Apple's name, where the value has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMED_CODES.iter().find(|(_, code)| *code == self).map(|(name, _)| *name)
    }

    /// The IOKit family in whose range an unnamed code lies, and the code within it (J1).
    #[must_use]
    pub fn subsystem(self) -> Option<(&'static str, u32)> {
        let base = self.0 & !((1 << CODE_BITS) - 1);
        let (name, _) = SUBSYSTEMS.iter().find(|(_, first)| *first == base)?;
        Some((name, self.0 - base))
    }

    /// True for `kIOReturnSuccess` only: any other value is a failure to the library (A17).
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// Success as `Ok`, all else as `Err`, for use with `?`.
    ///
    /// # Errors
    ///
    /// The code itself where it is not success.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }

    /// The value as the signed number that C programs print (J2).
    #[must_use]
    pub const fn as_kern_return(self) -> i32 {
        self.0.cast_signed()
    }
}

impl fmt::Display for IoReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.subsystem()) {
            (Some(name), _) => write!(f, "{name} (0x{:08x})", self.0),
            (None, Some((family, code))) => write!(f, "{family}+0x{code:x} (0x{:08x})", self.0),
            (None, None) => write!(f, "0x{:08x}", self.0),
        }
    }
}

impl fmt::Debug for IoReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::LowerHex for IoReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl std::error::Error for IoReturn {}

/// What a method returns after work that ends with `?`.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
///
/// let refused: Result<(), IoReturn> = Err(IoReturn::BUSY);
/// assert_eq!(IoReturn::from(refused), IoReturn::BUSY);
/// assert_eq!(IoReturn::from(Ok(())), IoReturn::SUCCESS);
/// ```
impl From<Result<(), IoReturn>> for IoReturn {
    fn from(result: Result<(), IoReturn>) -> Self {
        result.err().unwrap_or(Self::SUCCESS)
    }
}

/// A text that is no result code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read {0:?} as a result code: expected a name such as kIOReturnBadArgument, hex such as \
     0xe00002c2, or a decimal such as -536870206"
)]
pub struct ParseIoReturnError(String);

impl FromStr for IoReturn {
    type Err = ParseIoReturnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || ParseIoReturnError(text.chars().take(64).collect());
        if let Some((_, code)) = NAMED_CODES.iter().find(|(name, _)| *name == text) {
            return Ok(*code);
        }
        // What `Display` writes reads back: the number in the parentheses is the value.
        if let Some((_, rest)) = text.split_once(" (")
            && let Some(number) = rest.strip_suffix(')')
        {
            let code: Self = number.parse().map_err(|_| unreadable())?;
            return if code.to_string() == text { Ok(code) } else { Err(unreadable()) };
        }
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            // `from_str_radix` would take a sign here.
            if digits.starts_with(['+', '-']) {
                return Err(unreadable());
            }
            return u32::from_str_radix(digits, 16).map(Self).map_err(|_| unreadable());
        }
        match text.parse::<i64>() {
            Ok(value) => i32::try_from(value)
                .map(i32::cast_unsigned)
                .or_else(|_| u32::try_from(value))
                .map(Self)
                .map_err(|_| unreadable()),
            Err(_) => Err(unreadable()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (name, code) in NAMED_CODES {
            assert_eq!(name.parse(), Ok(*code), "{name}");
            assert_eq!(code.to_string().parse(), Ok(*code), "{name}");
            assert_eq!(code.as_kern_return().to_string().parse(), Ok(*code), "{name}");
        }
    }

    #[test]
    fn synonym_of_success_has_apples_iokit_name() {
        assert_eq!(IoReturn::KERN_SUCCESS.name(), Some("kIOReturnSuccess"));
    }

    #[test]
    fn unnamed_codes_tell_their_family() {
        let usb = IoReturn(0xe000_4061);
        assert_eq!(usb.to_string(), "sub_iokit_usb+0x61 (0xe0004061)");
        assert_eq!(usb.to_string().parse(), Ok(usb));
        assert_eq!(IoReturn(0x1234_5678).to_string(), "0x12345678");
    }

    #[test]
    fn signed_and_unsigned_decimals_mean_the_same() {
        assert_eq!("-307".parse(), Ok(IoReturn::MIG_ARRAY_TOO_LARGE));
        assert_eq!("4294966989".parse(), Ok(IoReturn::MIG_ARRAY_TOO_LARGE));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", "kIOReturn", "0x", "0x+1", "0x1e00002c2", "4294967296", "-2147483649"] {
            assert!(text.parse::<IoReturn>().is_err(), "{text:?}");
        }
        assert!("kIOReturnBadArgument (0xe00002c3)".parse::<IoReturn>().is_err());
    }
}
