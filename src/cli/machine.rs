use cohobate::job::JobError;

/// Sockets take file descriptors; the store and the inputs need some as well.
const FILES_BESIDES_CALLS: u64 = 128;

/// Raises the process's limit on open files as far as the system allows, and returns how many calls may be in flight.
/// Fails where more are asked for.
pub fn raise_file_limit(concurrency: Option<usize>) -> Result<usize, JobError> {
    // Where the limit cannot be told, the system will say so when it is met.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    let calls_max = usize::try_from(files.saturating_sub(FILES_BESIDES_CALLS)).unwrap_or(usize::MAX).max(1);
    match concurrency {
        Some(calls) if calls > calls_max => Err(JobError::usage(
            format!("--concurrency is {calls}, but this system lets a process open {files} files"),
            format!("lower it to {calls_max}, or raise the limit with `ulimit -n`"),
        )),
        _ => Ok(calls_max),
    }
}
