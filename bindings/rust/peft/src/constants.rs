//! The header's constants as enums, which keep values that they do not know.

use peft_sys as sys;

macro_rules! constants {
    ($($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $value:ident,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A value of a newer library.
            Unknown(i32),
        }

        impl From<i32> for $name {
            fn from(value: i32) -> Self {
                match value {
                    $(sys::$value => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => sys::$value,)*
                    $name::Unknown(other) => other,
                }
            }
        }
    )*};
}

constants! {
    /// The kind of a failure: what the program may do about it.
    pub enum Code {
        /// No failure.
        Ok = PEFT_OK,
        /// A callback asked to stop.
        Cancelled = PEFT_CANCELLED,
        /// Asked of something that is no status.
        UnknownError = PEFT_UNKNOWN,
        /// Fix the argument or the file.
        InvalidArgument = PEFT_INVALID_ARGUMENT,
        /// The network was too slow.
        DeadlineExceeded = PEFT_DEADLINE_EXCEEDED,
        /// No such file, adapter or repository.
        NotFound = PEFT_NOT_FOUND,
        /// The name is taken.
        AlreadyExists = PEFT_ALREADY_EXISTS,
        /// The system or the Hub does not allow it.
        PermissionDenied = PEFT_PERMISSION_DENIED,
        /// Out of memory, or over a limit.
        ResourceExhausted = PEFT_RESOURCE_EXHAUSTED,
        /// The state is wrong; do what the message says.
        FailedPrecondition = PEFT_FAILED_PRECONDITION,
        /// This version cannot do it.
        Unimplemented = PEFT_UNIMPLEMENTED,
        /// A bug of the library: report it.
        Internal = PEFT_INTERNAL,
        /// Not now: the network, a full disk.
        Unavailable = PEFT_UNAVAILABLE,
        /// A file could not be read to its end.
        DataLoss = PEFT_DATA_LOSS,
        /// A token or a certificate is not good.
        Unauthenticated = PEFT_UNAUTHENTICATED,
    }

    /// How serious a line of the log is.
    pub enum LogLevel {
        /// Worth knowing once.
        Info = PEFT_LOG_INFO,
        /// A mistake of the program that did no harm.
        Warning = PEFT_LOG_WARNING,
        /// Something was lost.
        Error = PEFT_LOG_ERROR,
        /// Of no line: for [`set_log_level`](crate::set_log_level).
        None = PEFT_LOG_NONE,
    }

    /// The element type of a tensor, with the names of safetensors.
    pub enum DType {
        /// One byte, 0 or 1.
        Bool = PEFT_DTYPE_BOOL,
        /// Unsigned, 8 bits.
        U8 = PEFT_DTYPE_U8,
        /// Signed, 8 bits.
        I8 = PEFT_DTYPE_I8,
        /// Unsigned, 16 bits.
        U16 = PEFT_DTYPE_U16,
        /// Signed, 16 bits.
        I16 = PEFT_DTYPE_I16,
        /// Unsigned, 32 bits.
        U32 = PEFT_DTYPE_U32,
        /// Signed, 32 bits.
        I32 = PEFT_DTYPE_I32,
        /// Unsigned, 64 bits.
        U64 = PEFT_DTYPE_U64,
        /// Signed, 64 bits.
        I64 = PEFT_DTYPE_I64,
        /// IEEE half precision.
        F16 = PEFT_DTYPE_F16,
        /// The upper half of an f32.
        Bf16 = PEFT_DTYPE_BF16,
        /// IEEE single precision.
        F32 = PEFT_DTYPE_F32,
        /// IEEE double precision.
        F64 = PEFT_DTYPE_F64,
        /// 8 bits, 4 of them exponent.
        F8E4M3 = PEFT_DTYPE_F8_E4M3,
        /// 8 bits, 5 of them exponent.
        F8E5M2 = PEFT_DTYPE_F8_E5M2,
        /// Two f32.
        C64 = PEFT_DTYPE_C64,
        /// 8 bits of exponent.
        F8E8M0 = PEFT_DTYPE_F8_E8M0,
        /// F8E4M3 without infinities and negative zero.
        F8E4M3Fnuz = PEFT_DTYPE_F8_E4M3FNUZ,
        /// F8E5M2 without infinities and negative zero.
        F8E5M2Fnuz = PEFT_DTYPE_F8_E5M2FNUZ,
        /// 4 bits, packed.
        F4 = PEFT_DTYPE_F4,
        /// 6 bits, packed, 2 of them exponent.
        F6E2M3 = PEFT_DTYPE_F6_E2M3,
        /// 6 bits, packed, 3 of them exponent.
        F6E3M2 = PEFT_DTYPE_F6_E3M2,
    }

    /// Where a tensor's memory is.
    pub enum Device {
        /// The computer's own.
        Cpu = PEFT_DEVICE_CPU,
        /// A CUDA device's.
        Cuda = PEFT_DEVICE_CUDA,
    }

    /// How base weights are read.
    pub enum ReadMode {
        /// Maps the files: nothing is copied. Truncating one kills the process:
        /// where others may write to the folder, `Read`.
        Map = PEFT_READ_MODE_MAP,
        /// Copies them to memory.
        Read = PEFT_READ_MODE_READ,
    }

    /// What the weights of a model's linear layers are made to.
    pub enum WeightFormat {
        /// Nothing: they stay mapped.
        AsStored = PEFT_WEIGHT_FORMAT_AS_STORED,
        /// 8 bits, and 32 for each 32 weights.
        Q8 = PEFT_WEIGHT_FORMAT_Q8,
        /// 4 bits, and 32 for each 32 weights.
        Q4 = PEFT_WEIGHT_FORMAT_Q4,
    }

    /// What a model is for.
    pub enum Task {
        /// No head: hidden states only.
        Base = PEFT_TASK_BASE,
        /// Logits of the next token.
        CausalLm = PEFT_TASK_CAUSAL_LM,
        /// Logits of the token itself.
        MaskedLm = PEFT_TASK_MASKED_LM,
        /// Logits of labels, per sequence.
        SequenceClassification = PEFT_TASK_SEQUENCE_CLASSIFICATION,
        /// Logits of labels, per token.
        TokenClassification = PEFT_TASK_TOKEN_CLASSIFICATION,
        /// Logits of an answer's start and end.
        QuestionAnswering = PEFT_TASK_QUESTION_ANSWERING,
    }

    /// What a line of a load report says of its tensor or key.
    pub enum ReportKind {
        /// A tensor in use; the detail is its module.
        Matched = PEFT_REPORT_MATCHED,
        /// Asked for by the config, not in the file.
        Missing = PEFT_REPORT_MISSING,
        /// In the file, used by nothing.
        Unexpected = PEFT_REPORT_UNEXPECTED,
        /// Of the wrong shape or element type.
        Mismatched = PEFT_REPORT_MISMATCHED,
        /// A config key that was not understood.
        IgnoredKey = PEFT_REPORT_IGNORED_KEY,
        /// Anything else worth knowing.
        Note = PEFT_REPORT_NOTE,
    }

    /// How adapters become one, as in PEFT's `add_weighted_adapter`.
    pub enum Combination {
        /// The weighted sum of the changes to each weight, cut to a rank.
        Svd = PEFT_COMBINE_SVD,
        /// Sums of A and of B: has cross terms.
        Linear = PEFT_COMBINE_LINEAR,
        /// The weighted sum exactly; ranks add up.
        Cat = PEFT_COMBINE_CAT,
        /// Largest elements, then a vote on signs.
        Ties = PEFT_COMBINE_TIES,
        /// `Ties`, cut to a rank.
        TiesSvd = PEFT_COMBINE_TIES_SVD,
        /// Random elements, the others scaled up.
        DareLinear = PEFT_COMBINE_DARE_LINEAR,
        /// `DareLinear`, cut to a rank.
        DareLinearSvd = PEFT_COMBINE_DARE_LINEAR_SVD,
        /// Random elements, then a vote on signs.
        DareTies = PEFT_COMBINE_DARE_TIES,
        /// `DareTies`, cut to a rank.
        DareTiesSvd = PEFT_COMBINE_DARE_TIES_SVD,
        /// Largest elements, summed.
        MagnitudePrune = PEFT_COMBINE_MAGNITUDE_PRUNE,
        /// `MagnitudePrune`, cut to a rank.
        MagnitudePruneSvd = PEFT_COMBINE_MAGNITUDE_PRUNE_SVD,
    }

    /// How signs are voted on when adapters are combined.
    pub enum MajoritySign {
        /// The sign of the sum.
        Total = PEFT_MAJORITY_SIGN_TOTAL,
        /// The sign of the larger number.
        Frequency = PEFT_MAJORITY_SIGN_FREQUENCY,
    }

    /// What a forward can give back.
    pub enum Output {
        /// Of models with a head.
        Logits = PEFT_OUTPUT_LOGITS,
        /// After the last layer and its norm, of all positions.
        LastHiddenState = PEFT_OUTPUT_LAST_HIDDEN_STATE,
        /// Of models with a pooler.
        PoolerOutput = PEFT_OUTPUT_POOLER_OUTPUT,
    }

    /// Why a row of a generate ended.
    pub enum FinishReason {
        /// `max_new_tokens` were made.
        Length = PEFT_FINISH_LENGTH,
        /// A token that ends a row.
        Eos = PEFT_FINISH_EOS,
        /// A stop sequence.
        Stop = PEFT_FINISH_STOP,
    }

    /// What a layer of a host model computes.
    pub enum LayerKind {
        /// A module that nothing attaches to: a name.
        Other = PEFT_LAYER_OTHER,
        /// Weight (out, in).
        Linear = PEFT_LAYER_LINEAR,
        /// transformers' Conv1D: weight (in, out).
        Conv1dHf = PEFT_LAYER_CONV1D_HF,
        /// Weight (rows, width); no bias.
        Embedding = PEFT_LAYER_EMBEDDING,
        /// torch's LayerNorm.
        LayerNorm = PEFT_LAYER_LAYER_NORM,
        /// The norm of Llama and its like.
        RmsNorm = PEFT_LAYER_RMS_NORM,
        /// torch's Conv1d, Conv2d or Conv3d: weight (out, in / groups, kernel
        /// ...).
        Conv = PEFT_LAYER_CONV,
        /// torch's MultiheadAttention with equal query, key and value sizes:
        /// its `in_proj_weight` (3 d, d) and `in_proj_bias`. Its "out_proj" is
        /// a linear layer of its own.
        MultiheadAttention = PEFT_LAYER_MULTIHEAD_ATTENTION,
        /// A parameter that its module multiplies with by itself, under the
        /// name that `named_parameters()` has: a matrix (out, in), or
        /// (experts, out, in).
        Parameter = PEFT_LAYER_PARAMETER,
    }

    /// Where the bytes of a file are.
    pub enum FileKind {
        /// In memory.
        Memory = PEFT_FILE_MEMORY,
        /// In a part of an open file, as packaged assets.
        Fd = PEFT_FILE_FD,
        /// Behind a function.
        Read = PEFT_FILE_READ,
    }

    /// What a form of a lowered adapter does; `docs/lowered.md` has the
    /// formulas. `p` is the layer's output before its bias, `x` its input.
    pub enum FormKind {
        /// `p` is computed from x * FACTOR (in) in place of x.
        ScaleIn = PEFT_FORM_SCALE_IN,
        /// `p` is computed with WEIGHT in place of the layer's own, in the
        /// layout of that.
        Weight = PEFT_FORM_WEIGHT,
        /// Outputs IDS (n) of `p` are x ROWS^T, (n, in); of an embedding rows
        /// IDS of its table are ROWS.
        Rows = PEFT_FORM_ROWS,
        /// p + scale * ((x A^T) * RANK_SCALE) B^T, A (r, in), B (out, r), and
        /// RANK_SCALE (r), which may be missing. With GATE, (n) tokens, for a
        /// row's tokens only from where these stand in it last.
        LowRank = PEFT_FORM_LOW_RANK,
        /// p * FACTOR (out).
        ScaleOut = PEFT_FORM_SCALE_OUT,
        /// The bias is BIAS (out), whatever the layer's own is; BIAS is missing
        /// where it has none any more.
        Bias = PEFT_FORM_BIAS,
    }

    /// The tensors of forms. Factors, `RankScale`, `Ids` and `Gate` are F32 and
    /// I64, the others of the element type of the adapter's file, or F32.
    pub enum FormTensor {
        /// (r, in).
        A = PEFT_FORM_TENSOR_A,
        /// (out, r).
        B = PEFT_FORM_TENSOR_B,
        /// (r).
        RankScale = PEFT_FORM_TENSOR_RANK_SCALE,
        /// (n), tokens.
        Gate = PEFT_FORM_TENSOR_GATE,
        /// (in) or (out).
        Factor = PEFT_FORM_TENSOR_FACTOR,
        /// In the layout of the layer's own.
        Weight = PEFT_FORM_TENSOR_WEIGHT,
        /// (n).
        Ids = PEFT_FORM_TENSOR_IDS,
        /// (n, in).
        Rows = PEFT_FORM_TENSOR_ROWS,
        /// (out).
        Bias = PEFT_FORM_TENSOR_BIAS,
    }

    /// Why a program's own transport has no answer.
    pub enum TransportError {
        /// No connection, or it broke.
        Connect = PEFT_TRANSPORT_CONNECT,
        /// Nothing came for too long.
        Timeout = PEFT_TRANSPORT_TIMEOUT,
        /// The server is not trusted.
        Tls = PEFT_TRANSPORT_TLS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_there_and_back() {
        assert_eq!(DType::from(sys::PEFT_DTYPE_BF16), DType::Bf16);
        assert_eq!(i32::from(DType::Bf16), sys::PEFT_DTYPE_BF16);
    }

    #[test]
    fn a_value_of_a_newer_library_is_kept() {
        let kind = ReportKind::from(77);
        assert_eq!(kind, ReportKind::Unknown(77));
        assert_eq!(i32::from(kind), 77);
    }
}
