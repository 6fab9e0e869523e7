use super::Format;
use super::column::Kind;

/// Returns a dataset card in the hub's form: which files belong to which split, how many rows, which columns.
pub fn card(format: &dyn Format, rows: u64) -> String {
    let size = match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "10M<n<100M",
    };
    let columns = format.columns().iter().map(|column| {
        let holds = match column.kind {
            Kind::Text => "text".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Json => "the source row's other columns and what is known of each answer, as JSON text".to_owned(),
            Kind::Messages(fields) => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
                format!("a list of messages with {}", names.join(", "))
            }
        };
        format!("| `{}` | {holds} |\n", column.name)
    });
    format!(
        "---\nlicense: other\nsize_categories:\n- {size}\nconfigs:\n- config_name: default\n  data_files:\n  - split: \
         train\n    path: data/train-*\n---\n# {rows} rows, format `{}`\n\nWritten by cohobate {}. The licence is that of \
         the source's words and of the model's answers: name it above.\n\n| column | holds |\n|---|---|\n{}",
        format.name(),
        env!("CARGO_PKG_VERSION"),
        columns.collect::<String>()
    )
}
