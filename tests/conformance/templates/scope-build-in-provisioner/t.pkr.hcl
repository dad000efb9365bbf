source "null" "n" {
  communicator = "none"
}
build {
  name    = "b"
  sources = ["null.n"]
  provisioner "shell-local" {
    inline = ["echo ${build.ID} ${build.Host} ${build.Port} ${build.User} ${build.Password} ${build.ConnType} ${build.PackerRunUUID} ${build.PackerHTTPIP} ${build.PackerHTTPPort} ${build.PackerHTTPAddr} ${build.SSHPublicKey} ${build.SSHPrivateKey} ${build.WinRMPassword} ${build.name}"]
  }
  post-processor "shell-local" {
    inline = ["echo ${build.ID} ${source.name} ${source.type}"]
  }
}
