//go:build linux && cgo

package nsgatebilly_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/test"
	"github.com/go-git/go-billy/v5/util"
	. "gopkg.in/check.v1"

	nsgate "github.com/nsgate/nsgate/go"
	"github.com/nsgate/nsgate/go/nsgatebilly"
)

// go-billy's own suite, once over a volume and once over a directory of one.

func TestConformance(t *testing.T) { TestingT(t) }

var _ = Suite(&volumeSuite{})
var _ = Suite(&subdirectorySuite{})

type volumeSuite struct {
	test.FilesystemSuite
	gate   *nsgate.Gate
	chroot *nsgate.Chroot
	memory string // a tmpfs: the suite makes hundreds of thousands of files
	volume string
}

func (s *volumeSuite) SetUpSuite(c *C) {
	var err error
	s.gate, err = nsgate.Open()
	c.Assert(err, IsNil)
	s.memory = c.MkDir()
	c.Assert(syscall.Mount("tmpfs", s.memory, "tmpfs", 0, ""), IsNil)
}

func (s *volumeSuite) TearDownSuite(c *C) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	report, err := s.gate.Close(ctx)
	c.Assert(err, IsNil)
	c.Assert(report.Remaining, Equals, uint64(0))
	c.Assert(syscall.Unmount(s.memory, 0), IsNil)
}

func (s *volumeSuite) SetUpTest(c *C) {
	var err error
	s.volume, err = os.MkdirTemp(s.memory, "volume")
	c.Assert(err, IsNil)
	s.chroot, err = s.gate.OpenChroot(s.volume, nil)
	c.Assert(err, IsNil)
	s.FilesystemSuite = test.NewFilesystemSuite(nsgatebilly.New(s.chroot))
}

func (s *volumeSuite) TearDownTest(c *C) {
	c.Assert(s.chroot.Close(), IsNil)
	c.Assert(os.RemoveAll(s.volume), IsNil)
}

type subdirectorySuite struct{ volumeSuite }

func (s *subdirectorySuite) SetUpTest(c *C) {
	s.volumeSuite.SetUpTest(c)
	sub, err := s.FilesystemSuite.FS.Chroot("a/b")
	c.Assert(err, IsNil)
	c.Assert(sub.MkdirAll("/", 0o755), IsNil)
	s.FilesystemSuite = test.NewFilesystemSuite(sub)
}

// The many temporary files are made by volumeSuite; here a few show the same.

func (s *subdirectorySuite) TestTempFileMany(c *C) { s.fewTempFiles(c, s.FilesystemSuite.FS.TempFile) }

func (s *subdirectorySuite) TestTempFileManyWithUtil(c *C) {
	s.fewTempFiles(c, func(dir, prefix string) (billy.File, error) {
		return util.TempFile(s.FilesystemSuite.FS, dir, prefix)
	})
}

func (s *subdirectorySuite) fewTempFiles(c *C, tempFile func(dir, prefix string) (billy.File, error)) {
	names := make(map[string]bool)
	for range 500 {
		f, err := tempFile("test-dir", "test-prefix")
		c.Assert(err, IsNil)
		c.Assert(f.Close(), IsNil)
		names[f.Name()] = true
	}
	c.Assert(names, HasLen, 500)
	for name := range names {
		c.Assert(s.FilesystemSuite.FS.Remove(name), IsNil)
	}
}
