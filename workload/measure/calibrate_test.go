package measure

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"pgfit/workload/cluster"
	"pgfit/workload/rundoc"
)

// Phase A on a real server: times that a server on the same host can have, from enough connections, and none left open.
func TestCalibrate(t *testing.T) {
	bin, err := cluster.Find(cluster.FindOptions{})
	if err != nil {
		t.Skip("no server binaries: ", err)
	}
	ctx := context.Background()
	s, err := cluster.Start(ctx, cluster.Options{Binaries: bin})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var c rundoc.Calibration
	for range 5 { // what else runs on the machine can hide the clock, which is 0 then: not measured
		if c, err = calibrate(ctx, s.Config()); err != nil {
			t.Fatal(err)
		}
		if c.ClockSeconds > 0 {
			break
		}
	}
	if c.Samples < 10 || c.Samples > 50 || c.RTTSeconds <= 0 || c.RTTSeconds >= c.ConnectSeconds || c.ClockSeconds <= 0 || c.ClockSeconds > 1e-3 {
		t.Errorf("calibrate = %+v", c)
	}
}
