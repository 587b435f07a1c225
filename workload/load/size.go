package load

import (
	"errors"
	"fmt"
	"time"

	"pgfit/probe"
	"pgfit/probe/guc"
)

// ErrDisk says that the data do not fit on the disk.
var ErrDisk = errors.New("the disk is too small for the data")

// Bounds of the data size that pgfit chooses by itself.
const (
	minData = 100 << 20
	maxData = 10 << 30
	// loadRate is what loading is assumed to manage at the least, in bytes per second; it bounds the data by the time
	// there is (measured on 2 cores: 40 to 60 MB/s, indexes included).
	loadRate = 20 << 20
)

// ChooseSize is the data size for a run: the user's wish, or four times shared_buffers, so that the server's own cache
// does not hold everything, within a quarter of the memory budget, a quarter of the free disk, 10 GB, and a tenth of the
// time. It refuses a size that the free disk cannot hold together with the WAL that loading makes.
func ChooseSize(wish int64, f probe.Facts, budget time.Duration) (int64, error) {
	free, known := f.DataStorage().Free.Get()
	if wish == 0 {
		sb, _ := f.Server.Settings.Bytes("shared_buffers")
		wish = max(minData, 4*sb)
		if ram, ok := f.Host.Memory.Budget.Get(); ok {
			wish = min(wish, max(minData, ram/4))
		}
		wish = min(wish, int64(budget.Seconds()/10*loadRate), maxData)
		if known {
			wish = min(wish, free/4)
		}
		wish = max(wish, 16<<20)
	}
	wal, _ := f.Server.Settings.Bytes("max_wal_size")
	if need := wish + wish/5 + wal; known && free < need {
		return 0, fmt.Errorf("%w: %s of data and up to %s of WAL need %s, %s has %s free; choose a smaller --data-size", ErrDisk,
			round(wish), round(wal), round(need), f.DataStorage().Path, round(free))
	}
	return wish, nil
}

// round writes a size with three figures at most.
func round(b int64) string {
	for _, u := range []int64{1 << 30, 1 << 20, 1 << 10} {
		if b >= 10*u {
			return guc.FormatBytes(b / u * u)
		}
	}
	return guc.FormatBytes(b)
}

// Time is how long loading so many bytes is planned to take.
func Time(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / loadRate * float64(time.Second))
}
