package e2e

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const imageUser = 65532

// TestImage builds the container image without an engine and probes it: what is in it, who runs it, and that it works with a root
// that cannot be written, on one volume, as nobody; SIGTERM drains it, and a second one on the volume is refused.
func TestImage(t *testing.T) {
	t.Parallel()
	if slices.Contains(buildFlags, "-race") {
		t.Skip("a binary with the race detector is not static")
	}
	buildah := need(t, "buildah", "it builds images")
	unshare := need(t, "unshare", "it gives the container its own mounts")
	if os.Getuid() != 0 {
		skipOrFail(t, "only root can build an image and change into it")
	}
	root := buildImage(t, buildah)
	wantImageFiles(t, root)
	volume := t.TempDir()
	if err := errors.Join(os.Chown(volume, imageUser, imageUser), os.Chmod(volume, 0o700), os.Chmod(filepath.Dir(volume), 0o755)); err != nil {
		t.Fatal(err)
	}
	contain := []string{unshare, "-m", "sh", "-c", `mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && mount --bind "$1" "$0/data" &&
		shift && exec chroot --userspec=65532:65532 "$ROOT" "$@"`, root, volume}
	env := []string{
		"ROOT=" + root, "HOOKKEEPER_LOG=json", "HOOKKEEPER_DISK_RESERVE=1MiB", "HOOKKEEPER_API_TOKEN=" + apiToken,
		"HOOKKEEPER_ADMIN_EMAIL=" + adminEmail, "HOOKKEEPER_ADMIN_PASSWORD=" + adminPassword,
	}
	container := func() *server {
		return &server{t: t, program: "/hookkeeper", wrap: contain, DataDir: "/data", Addr: "127.0.0.1:0", env: env}
	}
	s := container()
	s.restart()
	t.Cleanup(s.kill)
	u := s.newURL(nil)
	id := s.capture(u, "in a container")
	wantUser(t, s.cmd.Process.Pid)
	health := exec.Command(contain[0], append(slices.Clone(contain[1:]), "/hookkeeper", "healthcheck")...)
	health.Env = append(cleanEnviron(), append(env, "HOOKKEEPER_ADDR="+s.Addr, "HOOKKEEPER_DATA=/data")...)
	if out, err := health.CombinedOutput(); err != nil {
		t.Errorf("the health check: %v: %s", err, out)
	}
	if err := container().launch(); err == nil || !strings.Contains(err.Error(), "another Hookkeeper") {
		t.Errorf("a second container on the volume: %v", err)
	}
	if err := s.terminate(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	s.restart()
	if r := s.request(id); r.Body == nil || *r.Body != "in a container" {
		t.Errorf("after a restart: %+v", r)
	}
}

// buildImage builds the image as .ci/Dockerfile.release says, checks its settings, and returns where its files are.
func buildImage(t *testing.T, buildah string) (root string) {
	t.Helper()
	dir := t.TempDir()
	context := filepath.Join(dir, "context")
	if err := os.MkdirAll(filepath.Join(context, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	static := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(context, "hookkeeper"), "../..")
	static.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := static.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := func(args ...string) string {
		cmd := exec.Command(buildah, append([]string{
			"--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"),
		}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("buildah %s: %v: %s", args[0], err, stderrOf(err))
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() { run("rm", "--all") })
	run("bud", "--format", "docker", "--isolation", "chroot", "-f", "../../.ci/Dockerfile.release", "-t", "hookkeeper", context)
	var image struct {
		Docker struct {
			Config struct {
				User         string
				Entrypoint   []string
				Cmd          []string
				Volumes      map[string]struct{}
				ExposedPorts map[string]struct{}
				Healthcheck  struct{ Test []string }
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(run("inspect", "--type", "image", "hookkeeper")), &image); err != nil {
		t.Fatal(err)
	}
	c := image.Docker.Config
	_, volume := c.Volumes["/data"]
	_, port := c.ExposedPorts["8080/tcp"]
	if c.User != "65532:65532" || strings.Join(c.Entrypoint, " ") != "/hookkeeper" || strings.Join(c.Cmd, " ") != "serve" || !volume || !port ||
		strings.Join(c.Healthcheck.Test, " ") != "CMD /hookkeeper healthcheck" {
		t.Errorf("the image is set to %+v", c)
	}
	return run("mount", run("from", "hookkeeper"))
}

func stderrOf(err error) string {
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(failed.Stderr)
	}
	return ""
}

// wantImageFiles wants the binary and the volume's folder, and no other file.
func wantImageFiles(t *testing.T, root string) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil || !slices.Equal(files, []string{"/hookkeeper"}) {
		t.Errorf("the image has the files %q, %v", files, err)
	}
	data, err := os.Stat(filepath.Join(root, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := data.Sys().(*syscall.Stat_t); owner.Uid != imageUser || owner.Gid != imageUser || data.Mode().Perm()&0o022 != 0 {
		t.Errorf("/data belongs to %d:%d with mode %v", owner.Uid, owner.Gid, data.Mode())
	}
}

// wantUser wants a process to be nobody's who matters.
func wantUser(t *testing.T, pid int) {
	t.Helper()
	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != imageUser {
		t.Errorf("the process belongs to user %d", owner.Uid)
	}
}

// TestDockerfiles: the image that is shipped ends as the one that is tested.
func TestDockerfiles(t *testing.T) {
	t.Parallel()
	settings := func(path string) (lines []string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, final, found := strings.Cut(string(text), "FROM scratch\n")
		if !found {
			t.Fatalf("%s is not from scratch", path)
		}
		for line := range strings.Lines(final) {
			if !strings.HasPrefix(line, "COPY") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if shipped, tested := settings("../../Dockerfile"), settings("../../.ci/Dockerfile.release"); !slices.Equal(shipped, tested) {
		t.Errorf("the shipped image has %q, the tested one %q", shipped, tested)
	}
}
