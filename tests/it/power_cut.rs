//! Power cuts: everything that was not synced may be gone, in part or whole, and names that were not synced too.
//! What was acknowledged must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use cohobate::conversation::{Dice, Fingerprint};
use cohobate::store::{Appendable, Disk, DiskStore, Medium, Reader, Store, verify};

use crate::store_on_disk::{answered, hash};
use crate::support::copy_directory;

/// A disk that remembers what of each file is durable, and which names are.
#[derive(Clone, Default)]
pub struct Forgetful {
    state: Arc<Mutex<State>>,
}

/// What a power cut leaves, apart from chance.
#[derive(Clone, Default)]
pub struct State {
    /// Contents by a number of their own: names come and go.
    contents: Vec<Kept>,
    /// What the directories say now.
    names: BTreeMap<PathBuf, usize>,
    /// What they say on the disk.
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that no sync has made durable, oldest first.
    pending: Vec<(PathBuf, Option<usize>)>,
    /// Directories whose own names are durable.
    durable_directories: BTreeSet<PathBuf>,
    /// Counts what changes the disk.
    steps: usize,
    /// Before which step everything fails, as after a kill.
    fails_at: Option<usize>,
}

#[derive(Clone, Default)]
struct Kept {
    bytes: Vec<u8>,
    durable: usize,
}

struct ForgetfulFile {
    file: Box<dyn Appendable>,
    number: usize,
    disk: Forgetful,
}

impl Forgetful {
    /// A disk on which everything below `directory` is durable.
    pub fn with(directory: &Path) -> Self {
        let disk = Self::default();
        let mut state = disk.state();
        let mut open = vec![directory.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    open.push(entry);
                    continue;
                }
                let bytes = fs::read(&entry).unwrap();
                let number = state.contents.len();
                state.contents.push(Kept { durable: bytes.len(), bytes });
                state.names.insert(entry.clone(), number);
                state.durable_names.insert(entry, number);
            }
            state.durable_directories.insert(directory);
        }
        drop(state);
        disk
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns the disk as it is now. Taken between two steps, so that a crash falls there.
    pub fn moment(&self) -> State {
        self.state().clone()
    }

    /// Lets everything fail before this step.
    pub fn fail_at(&self, step: usize) {
        self.state().fails_at = Some(step);
    }

    /// Returns how many steps changed the disk.
    pub fn steps(&self) -> usize {
        self.state().steps
    }

    fn step(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.fails_at.is_some_and(|step| state.steps >= step) {
            return Err(io::Error::other("killed"));
        }
        state.steps += 1;
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
    }

    fn name(&self, path: &Path, number: Option<usize>) {
        self.change(|state| {
            match number {
                Some(number) => drop(state.names.insert(path.to_owned(), number)),
                None => drop(state.names.remove(path)),
            }
            state.pending.push((path.to_owned(), number));
        });
    }

    fn number(&self, path: &Path) -> usize {
        self.state().names[path]
    }
}

impl Medium for Forgetful {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        self.step()?;
        let file = Disk.create(path)?;
        let number = self.state().contents.len();
        self.state().contents.push(Kept::default());
        self.name(path, Some(number));
        Ok(Box::new(ForgetfulFile { file, number, disk: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Appendable>> {
        let file = Disk.open(path)?;
        Ok(Box::new(ForgetfulFile { file, number: self.number(path), disk: self.clone() }))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        Disk.create_directory(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        Disk.link(from, to)?;
        self.name(to, Some(self.number(from)));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        Disk.rename(from, to)?;
        let number = self.number(from);
        self.change(|state| {
            state.names.remove(from);
            state.names.insert(to.to_owned(), number);
            // Both names change at once; the new one first, so that a prefix of the changes loses neither.
            state.pending.push((to.to_owned(), Some(number)));
            state.pending.push((from.to_owned(), None));
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        Disk.remove(path)?;
        self.name(path, None);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        Disk.sync_directory(path)?;
        self.change(|state| {
            let (synced, others) =
                std::mem::take(&mut state.pending).into_iter().partition(|(name, _)| name.parent() == Some(path));
            state.pending = others;
            state.make_durable(synced);
            let inside = fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
            state.durable_directories.extend(inside.filter(|entry| entry.is_dir()));
        });
        Ok(())
    }
}

impl Appendable for ForgetfulFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.step()?;
        self.file.append(bytes)?;
        self.disk.change(|state| state.contents[self.number].bytes.extend(bytes));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.step()?;
        self.file.sync()?;
        self.disk.change(|state| state.contents[self.number].durable = state.contents[self.number].bytes.len());
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.disk.step()?;
        self.file.cut(length)?;
        self.disk.change(|state| {
            let kept = &mut state.contents[self.number];
            kept.bytes.truncate(length as usize);
            kept.durable = kept.durable.min(length as usize);
        });
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

impl State {
    fn make_durable(&mut self, changes: Vec<(PathBuf, Option<usize>)>) {
        for (name, number) in changes {
            match number {
                Some(number) => drop(self.durable_names.insert(name, number)),
                None => drop(self.durable_names.remove(&name)),
            }
        }
    }

    /// Makes the disk as it may be after the power went at this moment: `from` as seen at `to`.
    pub fn write(mut self, from: &Path, to: &Path, dice: &mut Dice) {
        fs::create_dir_all(to).unwrap();
        // A prefix of the changes of names may have reached the disk.
        let kept = dice.below(self.pending.len() + 1);
        let changes = self.pending.drain(..kept).collect();
        self.make_durable(changes);
        for (name, number) in &self.durable_names {
            let mut directories = name.ancestors().skip(1).take_while(|above| above.starts_with(from));
            if directories.any(|directory| !self.durable_directories.contains(directory)) {
                continue;
            }
            let Kept { bytes, durable } = &self.contents[*number];
            let mut bytes = bytes.clone();
            // Of what was not synced a part may be there, or zeros, or something else, or a hole.
            match dice.below(4) {
                0 => bytes.truncate(durable + dice.below(bytes.len() - durable + 1)),
                1 => bytes[*durable..].iter_mut().for_each(|byte| *byte ^= dice.next_bits() as u8),
                2 if bytes.len() > *durable => {
                    let start = durable + dice.below(bytes.len() - durable);
                    let end = start + dice.below(bytes.len() - start + 1);
                    bytes[start..end].fill(0);
                }
                _ => bytes.truncate(*durable),
            }
            let target = to.join(name.strip_prefix(from).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, bytes).unwrap();
        }
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
        let disk = Forgetful::with(directory.path());
        // The store does not exist yet: its own name must become durable too.
        let place = directory.path().join("store");
        let (store, _) = DiskStore::open_with(&place, 30_000, Arc::new(disk.clone()), &mut |_, _| {}).unwrap();
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
                disk.moment().write(directory.path(), after.path(), &mut dice);
                let after = after.path().join("store");
                fs::create_dir_all(&after).unwrap();
                copy_directory(&place.join("index"), &after.join("index"));
                fs::write(after.join("index.state"), "another boot").unwrap();
                // Nothing that was acknowledged is damaged; what was not yet is no damage.
                if after.join("journal").exists() {
                    assert_eq!(verify(&after).unwrap().damages, [], "cut {cuts} (seed {seed})");
                }
                let (survivor, opened) = DiskStore::open(&after, &mut |_, _| {}).unwrap();
                assert!(opened.rebuilt.is_some() && opened.damages.is_empty(), "cut {cuts}: {opened:?} (seed {seed})");
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
