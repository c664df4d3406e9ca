//! Prints what the crate `macsmc` reads from AppleSMC: a program whose IOKit code is somebody else's, to
//! be recorded from inside.
//!
//! ```text
//! DYLD_INSERT_LIBRARIES=libdextape_interpose.dylib DEXTAPE_RECORD=smc.tape.jsonl ./macsmc
//! ```

#[cfg(target_os = "macos")]
fn main() -> macsmc::Result<()> {
    use macsmc::{DataValue, Smc};

    // A recorder that was inserted has read it already. On a machine that is no Mac the library that
    // stands for IOKit reads it, too, and only one of them shall record.
    // SAFETY: the program has no other thread yet.
    unsafe { std::env::remove_var("DEXTAPE_RECORD") };
    let mut smc = Smc::connect()?;
    let count = smc.number_of_keys()?;
    println!("{count} keys");
    // The iterator stays where it is after a failure.
    for data in smc.all_data()?.take(count as usize) {
        let data = data?;
        match data.value {
            Ok(Some(DataValue::Flag(flag))) => println!("{}: flag {flag}", data.key),
            Ok(Some(DataValue::Float(value))) => println!("{}: {value}", data.key),
            Ok(Some(DataValue::Int(value))) => println!("{}: {value}", data.key),
            Ok(Some(DataValue::Uint(value))) => println!("{}: {value}", data.key),
            Ok(Some(DataValue::Str(text))) => println!("{}: {text:?}", data.key),
            Ok(Some(DataValue::Unknown(bytes))) => println!("{}: {bytes:02x?}", data.key),
            Ok(None) => println!("{}: not there", data.key),
            Err(error) => println!("{}: {error}", data.key),
        }
    }
    for fan in smc.fans()? {
        let fan = fan?;
        println!("fan: {} rpm of {} to {}", *fan.actual, *fan.min, *fan.max);
    }
    println!("CPU: {} degrees Celsius", *smc.cpu_temperature()?.proximity);
    Ok(())
}

#[cfg(not(target_os = "macos"))]
fn main() {
    eprintln!("macsmc: AppleSMC is a service of Macs");
}
