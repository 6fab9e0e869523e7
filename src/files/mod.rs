//! Files that survive: names made durable, locks, the owners of temporary files, and what a dead process left behind.
//!
//! A file is durable only when its bytes *and* its name are synced, and the name of every directory above it
//! ([`create_directories`], [`replace_file`]). A temporary file belongs to the process that holds its lock: it is deleted
//! only where the lock can be taken, because a process that is not seen from here may be alive in another container or on
//! another host ([`Owned`], [`sweep`]).

mod checksum;
mod durable;
mod lock;
mod mounts;
mod name;
mod owned;
mod owner;
mod path;
mod private;
mod random;
#[cfg(feature = "parquet")]
mod swap;

pub use checksum::{add_and_copy, checksum_of};
pub use durable::{create_directories, replace_file, sync_ancestors, sync_directory};
pub use lock::{Locking, is_same_file, try_lock, try_lock_shared};
pub use mounts::{is_remote, lock_caution};
pub use name::{is_byte_of_name, name_of, path_of};
pub use owned::{Owned, OwnedDirectory, sweep};
pub use owner::{Owner, boot_id};
pub use path::{parent_of, replaced_path};
pub use private::{append_to, create_in, open_or_create_in};
pub use random::random_bytes;

#[cfg(feature = "parquet")]
pub use swap::{NewDirectory, finish_swaps};
