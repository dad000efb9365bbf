package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// shell is a communicator whose machine is a directory: commands run in it, paths are below it.
type shell struct {
	root string
}

func (s *shell) at(path string) string { return filepath.Join(s.root, path) }

func (s *shell) Start(ctx context.Context, remote *packersdk.RemoteCmd) error {
	if remote.Command == "cannot start" {
		return os.ErrPermission
	}
	command := exec.Command("sh", "-c", remote.Command)
	command.Dir = s.root
	command.Stdin, command.Stdout, command.Stderr = remote.Stdin, remote.Stdout, remote.Stderr
	if err := command.Start(); err != nil {
		return err
	}
	go func() {
		command.Wait()
		remote.SetExited(command.ProcessState.ExitCode())
	}()
	return nil
}

func (s *shell) Upload(path string, source io.Reader, info *os.FileInfo) error {
	mode := os.FileMode(0o600)
	if info != nil {
		mode = (*info).Mode().Perm()
	}
	file, err := os.OpenFile(s.at(path), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, source)
	return err
}

func (s *shell) Download(path string, target io.Writer) error {
	file, err := os.Open(s.at(path))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(target, file)
	return err
}

func (s *shell) UploadDir(target, source string, exclude []string) error {
	return tree(source, s.at(target))
}

func (s *shell) DownloadDir(source, target string, exclude []string) error {
	from := s.at(source)
	if strings.HasSuffix(source, "/") {
		from += "/"
	}
	return tree(from, target)
}

// tree copies a directory as rsync does: without a slash at the end of the source, with its name.
func tree(source, target string) error {
	if !strings.HasSuffix(source, "/") {
		target = filepath.Join(target, filepath.Base(source))
	}
	return os.CopyFS(target, os.DirFS(source))
}
