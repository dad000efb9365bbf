// The plugin "trial" has a component of each kind, every shape of option, and switches that make
// it fail in every way that a plugin can.
//
// Switches come as options named "fail" or, where a program fails before it has options, in the
// environment as TRIAL_START and TRIAL_DESCRIBE.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/plugin"
	"github.com/hashicorp/packer-plugin-sdk/version"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "start" {
		failAtStart(os.Getenv("TRIAL_START"))
	}
	if record := os.Getenv("TRIAL_RECORD"); record != "" {
		appendLine(record, strings.Join(os.Args[1:], " "))
	}
	if len(os.Args) > 1 && os.Args[1] == "describe" && os.Getenv("TRIAL_DESCRIBE") == "hang" {
		time.Sleep(time.Hour)
	}
	if len(os.Args) > 1 && os.Args[1] == "describe" && os.Getenv("TRIAL_GOB") != "" {
		// As plugins say it that know nothing of protobuf.
		fmt.Println(`{"version":"1.0.0","sdk_version":"0.2.0","api_version":"x5.0",` +
			`"builders":["-packer-default-plugin-name-"],` +
			`"post_processors":["-packer-default-plugin-name-"],` +
			`"provisioners":["-packer-default-plugin-name-"],"datasources":["facts"]}`)
		return
	}
	set := plugin.NewSet()
	set.SetVersion(version.NewRawVersion(ownVersion()))
	set.RegisterBuilder(plugin.DEFAULT_NAME, new(builder))
	set.RegisterProvisioner(plugin.DEFAULT_NAME, new(provisioner))
	set.RegisterPostProcessor(plugin.DEFAULT_NAME, new(postProcessor))
	set.RegisterDatasource("facts", new(datasource))
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ownVersion is the version in the name of the program's file, so that one program stands for any
// release.
func ownVersion() string {
	if told := os.Getenv("TRIAL_VERSION"); told != "" {
		return told
	}
	parts := strings.Split(filepath.Base(os.Args[0]), "_")
	if len(parts) > 1 && strings.HasPrefix(parts[1], "v") {
		return strings.TrimPrefix(parts[1], "v")
	}
	return "1.0.0"
}

func appendLine(path, line string) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	fmt.Fprintln(file, line)
}

func failAtStart(how string) {
	switch how {
	case "":
	case "crash":
		fmt.Fprintln(os.Stderr, "trial: crashing on purpose")
		os.Exit(3)
	case "hang":
		appendLine(os.Getenv("TRIAL_RECORD"), strings.Join(os.Args[1:], " "))
		time.Sleep(time.Hour)
	case "hang once":
		// In the start that takes the mark away.
		if os.Remove(os.Getenv("TRIAL_RECORD")+".hang") == nil {
			time.Sleep(time.Hour)
		}
	case "rubbish":
		fmt.Println("what is this?")
		time.Sleep(time.Hour)
	case "version":
		fmt.Println("6|0|unix|/nowhere")
		time.Sleep(time.Hour)
	case "address":
		fmt.Println("5|0|unix|/nowhere/at/all")
		time.Sleep(time.Hour)
	case "mute":
		// Listens, but says nothing that is yamux.
		listener, err := net.Listen("unix", os.TempDir()+fmt.Sprintf("/trial-%d", os.Getpid()))
		if err != nil {
			panic(err)
		}
		fmt.Printf("5|0|unix|%s\n", listener.Addr())
		conn, _ := listener.Accept()
		os.Remove(listener.Addr().String())
		fmt.Fprintln(conn, "HTTP/1.1 400 Bad Request")
		time.Sleep(time.Hour)
	case "tcp":
		overTCP()
	default:
		panic("no such way to fail: " + how)
	}
}

// overTCP runs the real plugin as a child and offers it on a port.
func overTCP() {
	child := exec.Command(os.Args[0], os.Args[1:]...)
	child.Env = append(os.Environ(), "TRIAL_START=")
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		panic(err)
	}
	line := make([]byte, 4096)
	count, _ := out.Read(line)
	socket := strings.Split(strings.TrimSpace(string(line[:count])), "|")[3]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("5|0|tcp|%s\n", listener.Addr())
	host, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	real, err := net.Dial("unix", socket)
	if err != nil {
		panic(err)
	}
	go func() { io.Copy(real, host); real.Close() }()
	io.Copy(host, real)
	os.Exit(0)
}

// fail fails while it works.
func fail(how string) error {
	switch how {
	case "":
		return nil
	case "error":
		return fmt.Errorf("failing on purpose")
	case "crash":
		panic("crashing on purpose")
	case "exit":
		fmt.Fprintln(os.Stderr, "trial: leaving on purpose")
		os.Exit(4)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "kill once":
		if _, err := os.Stat("killed"); err == nil {
			return nil
		}
		if err := os.WriteFile("killed", nil, 0o644); err != nil {
			return err
		}
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hang":
		time.Sleep(time.Hour)
	case "ask":
		// As ansible does for a password.
		return exec.Command("sh", "-c", "stty -echo </dev/tty").Run()
	case "close":
		closeSockets()
		time.Sleep(time.Hour)
	case "flood":
		line := strings.Repeat("flood ", 20000) + "\n"
		for i := 0; i < 200; i++ {
			io.WriteString(os.Stderr, line)
		}
		return nil
	case "child":
		// Leaves a child that outlives it.
		child := exec.Command("sleep", "987654")
		if err := child.Start(); err != nil {
			return err
		}
		return nil
	}
	return fmt.Errorf("no such way to fail: %s", how)
}

// closeSockets closes every connection of the program, and lets it live on.
func closeSockets() {
	for fd := 3; fd < 64; fd++ {
		var kind syscall.Stat_t
		if syscall.Fstat(fd, &kind) == nil && kind.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
			syscall.Shutdown(fd, syscall.SHUT_RDWR)
		}
	}
}
