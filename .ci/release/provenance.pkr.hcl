# Attests the files of a release: SLSA provenance in an in-toto statement, by Ingot itself.
# `cargo xtask dist` runs it.

variable "files" {
  description = "What is attested"
  type        = list(string)
}

variable "output" {
  description = "The directory that the attestation is written to"
  type        = string
}

variable "key" {
  description = "A private key in PEM; unsigned without one"
  type        = string
  default     = ""
}

source "null" "release" {
  communicator = "none"
}

build {
  name    = "ingot"
  sources = ["source.null.release"]

  post-processors {
    post-processor "artifice" {
      files               = var.files
      keep_input_artifact = true
    }
    post-processor "provenance" {
      build_type          = "https://github.com/ingot-build/ingot/blob/main/.ci/release/provenance.pkr.hcl"
      signing_mode        = var.key == "" ? "none" : "key"
      signer              = var.key == "" ? null : var.key
      output_dir          = var.output
      keep_input_artifact = true
    }
  }
}
