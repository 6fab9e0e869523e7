use super::column::{ColumnKind, FieldKind, Numbers};
use super::{Column, OutputFormat};

/// Returns a dataset card in the hub's format: the licence, the columns and their types, the number of rows and bytes of
/// JSON, the files of the split (Hugging Face Hub, "Dataset cards"; `dataset_info` as `datasets` writes it).
pub fn dataset_card(format: &dyn OutputFormat, rows: u64, bytes: u64, license: Option<&str>) -> String {
    let size = match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        _ => "100M<n<1B",
    };
    let license_said = match license {
        Some(license) => format!("Licence: {license}. The model's terms apply to its answers as well."),
        None => "The source's licence and the model's terms apply: name the licence above.".to_owned(),
    };
    let license = license.unwrap_or("other");
    let features: String = format.columns().iter().map(feature_yaml).collect();
    let columns = format
        .columns()
        .iter()
        .map(|column| ["| `", column.name, "` | ", &column_description(column), " |\n"].concat());
    let columns: String = columns.collect();
    let (name, version) = (format.name(), env!("CARGO_PKG_VERSION"));
    format!(
        "---\nlicense: {license}\nsize_categories:\n- {size}\ndataset_info:\n  features:\n{features}  splits:\n  - name: \
         train\n    num_bytes: {bytes}\n    num_examples: {rows}\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: \
         data/train-*\n---\n# {rows} rows, format `{name}`\n\nWritten by cohobate {version}. {license_said}\n\n| column | \
         holds |\n|---|---|\n{columns}"
    )
}

fn feature_yaml(column: &Column) -> String {
    let name = column.name;
    match column.kind {
        ColumnKind::Text | ColumnKind::Json => format!("  - name: {name}\n    dtype: string\n"),
        ColumnKind::Flag => format!("  - name: {name}\n    dtype: bool\n"),
        ColumnKind::Number => format!("  - name: {name}\n    dtype: int32\n"),
        ColumnKind::Numbers(numbers) => {
            let kind = match numbers {
                Numbers::Ids | Numbers::Labels | Numbers::TopIds => "int32",
                Numbers::Mask => "int8",
                Numbers::TopSteps | Numbers::SampledSteps => "uint16",
            };
            format!("  - name: {name}\n    list: {kind}\n")
        }
        ColumnKind::Messages(fields) => {
            let fields = fields.iter().map(|(name, leaf)| {
                let kind = match leaf {
                    FieldKind::Text => "string",
                    FieldKind::Flag => "bool",
                    FieldKind::Number => "int64",
                };
                format!("    - name: {name}\n      dtype: {kind}\n")
            });
            format!("  - name: {name}\n    list:\n{}", fields.collect::<String>())
        }
    }
}

fn column_description(column: &Column) -> String {
    match column.kind {
        ColumnKind::Text => "text".to_owned(),
        ColumnKind::Flag => "true or false".to_owned(),
        ColumnKind::Number => "a whole number".to_owned(),
        ColumnKind::Numbers(numbers) => numbers_description(numbers).to_owned(),
        ColumnKind::Json => "the source row's other columns and the metadata of each answer, as JSON text".to_owned(),
        ColumnKind::Messages(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            format!("a list of messages with {}", names.join(", "))
        }
    }
}

fn numbers_description(numbers: Numbers) -> &'static str {
    match numbers {
        Numbers::Ids => {
            "token ids, as the server that answered counts them: the prompt after its chat template, and the answers"
        }
        Numbers::Labels => "the id of each token to train on, -100 for the others",
        Numbers::Mask => "1 for each token to train on, 0 for the others",
        Numbers::TopIds => {
            "for each 1 of `loss_mask`, the ids of the `logprob_count` most probable tokens, the most probable first; -1 \
             where the server gave fewer"
        }
        Numbers::TopSteps => {
            "for each of `logprob_ids`, minus its log-probability in steps of 1/1024 nat; 65535 means at most -64"
        }
        Numbers::SampledSteps => "for each 1 of `loss_mask`, the same of the token that was sampled",
    }
}
