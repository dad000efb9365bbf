package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// shell is a communicator whose machine is a directory: commands run in it, paths are below it. A
// command that writes a number into the file "rebooting" ends the connection, and so many calls
// find the machine away then. With winrm, starting a command waits for its end, and fails if it
// ended the connection, as the SDK's WinRM does.
type shell struct {
	root  string
	winrm bool
	away  atomic.Int32
}

func (s *shell) at(path string) string { return filepath.Join(s.root, path) }

// connect fails while the machine is away.
func (s *shell) connect() error {
	left := s.away.Load()
	if left == 0 {
		return nil
	}
	s.away.Store(left - 1)
	return errors.New("dial tcp 127.0.0.1:22: connect: connection refused")
}

// reboots tells whether the last command asked for it.
func (s *shell) reboots() bool {
	text, err := os.ReadFile(s.at("rebooting"))
	if err != nil {
		return false
	}
	os.Remove(s.at("rebooting"))
	calls, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return false
	}
	s.away.Store(int32(calls))
	return true
}

func (s *shell) Start(ctx context.Context, remote *packersdk.RemoteCmd) error {
	if err := s.connect(); err != nil {
		return err
	}
	if remote.Command == "cannot start" {
		return os.ErrPermission
	}
	command := exec.Command("sh", "-c", remote.Command)
	command.Dir = s.root
	command.Stdin, command.Stdout, command.Stderr = remote.Stdin, remote.Stdout, remote.Stderr
	if err := command.Start(); err != nil {
		return err
	}
	if s.winrm {
		command.Wait()
		remote.SetExited(command.ProcessState.ExitCode())
		if s.reboots() {
			return errors.New("http://127.0.0.1:5985/wsman: EOF")
		}
		return nil
	}
	go func() {
		command.Wait()
		code := command.ProcessState.ExitCode()
		if s.reboots() {
			code = packersdk.CmdDisconnect
		}
		remote.SetExited(code)
	}()
	return nil
}

func (s *shell) Upload(path string, source io.Reader, info *os.FileInfo) error {
	if err := s.connect(); err != nil {
		return err
	}
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
