//! Power cuts: everything that was not synced may be gone, in part or whole, and names that were not synced too.
//! What was acknowledged must be there.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cohobate::conversation::{Dice, Fingerprint};
use cohobate::store::{Appendable, Disk, DiskStore, Medium, Reader, Store};

use crate::store_on_disk::{answered, hash};

/// A disk that remembers what of each file is durable.
struct Forgetful {
    files: Arc<Mutex<HashMap<PathBuf, Kept>>>,
}

#[derive(Clone, Copy, Default)]
struct Kept {
    length: u64,
    durable: u64,
    name_is_durable: bool,
}

struct ForgetfulFile {
    file: Box<dyn Appendable>,
    path: PathBuf,
    files: Arc<Mutex<HashMap<PathBuf, Kept>>>,
}

impl ForgetfulFile {
    fn update(&self, change: impl FnOnce(&mut Kept)) {
        change(self.files.lock().unwrap().entry(self.path.clone()).or_default());
    }
}

impl Medium for Forgetful {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        let file = Disk.create(path)?;
        self.files.lock().unwrap().insert(path.to_owned(), Kept::default());
        Ok(Box::new(ForgetfulFile { file, path: path.to_owned(), files: Arc::clone(&self.files) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        let length = fs::metadata(path)?.len();
        let kept = Kept { length, durable: length, name_is_durable: true };
        self.files.lock().unwrap().insert(path.to_owned(), kept);
        Ok(Box::new(ForgetfulFile { file: Disk.open(path)?, path: path.to_owned(), files: Arc::clone(&self.files) }))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        Disk.sync_directory(path)?;
        self.files.lock().unwrap().values_mut().for_each(|kept| kept.name_is_durable = true);
        Ok(())
    }
}

impl Appendable for ForgetfulFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.update(|kept| kept.length += bytes.len() as u64);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.update(|kept| kept.durable = kept.length);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.cut(length)?;
        self.update(|kept| *kept = Kept { length, durable: kept.durable.min(length), ..*kept });
        Ok(())
    }
}

/// Makes the disk as it may be after the power went at this moment.
fn image(files: &HashMap<PathBuf, Kept>, to: &Path, dice: &mut Dice) {
    fs::create_dir_all(to.join("journal")).unwrap();
    for (path, kept) in files {
        if !kept.name_is_durable && dice.below(2) == 0 {
            continue;
        }
        let mut bytes = fs::read(path).unwrap();
        // Of what was not synced a part may be there, or zeros, or something else.
        let survives = kept.durable + dice.below((kept.length - kept.durable) as usize + 1) as u64;
        bytes.truncate(survives as usize);
        match dice.below(3) {
            0 => bytes.extend(std::iter::repeat_n(0, dice.below(5_000))),
            1 => bytes[kept.durable as usize..].iter_mut().for_each(|byte| *byte ^= dice.next_bits() as u8),
            _ => {}
        }
        fs::write(to.join("journal").join(path.file_name().unwrap()), bytes).unwrap();
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        // Files of a database that is at work come and go.
        if entry.is_dir() { copy_directory(&entry, &target) } else { drop(fs::copy(&entry, &target)) }
    }
}

#[test]
fn a_hundred_power_cuts_lose_no_acknowledged_answer() {
    let seed = std::env::var("COHOBATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7u64);
    println!("seed {seed} (COHOBATE_TEST_SEED)");
    let mut dice = Dice::new("power", &seed.to_le_bytes());
    let (mut cuts, mut checked) = (0, 0);
    while cuts < 100 {
        let directory = tempfile::tempdir().unwrap();
        let files = Arc::new(Mutex::new(HashMap::new()));
        let medium = Arc::new(Forgetful { files: Arc::clone(&files) });
        let (store, _) = DiskStore::open_with(directory.path(), 30_000, medium, &mut |_, _| {}).unwrap();
        let acknowledged = Arc::new(Mutex::new(0u32));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for group in 0..60u32 {
                    let count = 1 + group % 7;
                    let first = *acknowledged.lock().unwrap();
                    let entries = (first..first + count).map(|number| answered(number, number % 9, number / 9, 700));
                    store.commit(entries.collect()).unwrap();
                    *acknowledged.lock().unwrap() += count;
                }
            });
            while !writer.is_finished() {
                std::thread::sleep(std::time::Duration::from_micros(dice.below(3_000) as u64));
                let after = tempfile::tempdir().unwrap();
                // What is acknowledged now must survive a cut from now on.
                let safe = *acknowledged.lock().unwrap();
                let kept = files.lock().unwrap().clone();
                image(&kept, after.path(), &mut dice);
                copy_directory(&directory.path().join("index"), &after.path().join("index"));
                fs::write(after.path().join("index.state"), "another boot").unwrap();
                let (survivor, opened) = DiskStore::open(after.path(), &mut |_, _| {}).unwrap();
                assert!(opened.rebuilt.is_some());
                for number in 0..safe {
                    let answer = survivor.answer(&Fingerprint(hash(number))).unwrap();
                    assert!(answer.is_some(), "cut {cuts}: answer {number} of {safe} is lost (seed {seed})");
                }
                // And what comes after it can be written and read.
                survivor.commit(vec![answered(900_000, 1, 1, 10)]).unwrap();
                assert!(survivor.answer(&Fingerprint(hash(900_000))).unwrap().is_some());
                cuts += 1;
                checked += safe;
            }
        });
    }
    println!("{cuts} cuts, {checked} acknowledged answers looked up, none lost");
}
