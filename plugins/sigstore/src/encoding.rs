//! Keys and certificates as text.

/// Text in PEM, with the line ends that Go writes.
pub(crate) fn pem(tag: &str, der: &[u8]) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, der), lines)
}
