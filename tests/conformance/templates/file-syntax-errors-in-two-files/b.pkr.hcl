locals {
  b = "open
}
