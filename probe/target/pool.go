package target

import (
	"fmt"
	"strconv"
)

// poolRange is what the guide allows for one parameter of the pool.
type poolRange struct{ min, max, def int }

// poolRanges are those of the guide's DatabaseConfig model.
var poolRanges = map[string]poolRange{
	"pool_size": {1, 100, 20}, "max_overflow": {0, 100, 10}, "pool_timeout": {1, 300, 30}, "pool_recycle": {300, 7200, 1800},
}

// CheckPool tells whether a value of a pool parameter is a whole number within the guide's range.
func CheckPool(name, text string) (int, error) {
	want, ok := poolRanges[name]
	if !ok {
		return 0, fmt.Errorf("%s is no parameter of the pool", name)
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not a whole number: want %d to %d", name, want.min, want.max)
	}
	if v < want.min || v > want.max {
		return 0, fmt.Errorf("%s = %d is out of range: want %d to %d", name, v, want.min, want.max)
	}
	return v, nil
}

// settlePool fills the pool when something describes it, with the guide's defaults for the rest.
func (r *resolver) settlePool() *UsageError {
	if err := r.configPool(); err != nil {
		return err
	}
	if len(r.pool) == 0 && r.conf == nil {
		return nil
	}
	values := map[string]int{}
	for _, name := range PoolKeys {
		text, ok := r.pool[name]
		if !ok {
			values[name], r.t.Origins[name] = poolRanges[name].def, "default"
			r.t.values[name] = strconv.Itoa(values[name])
			continue
		}
		v, err := CheckPool(name, text)
		if err != nil {
			return usagef("%s: %v", r.t.Origins[name], err)
		}
		values[name], r.t.values[name] = v, strconv.Itoa(v)
	}
	r.t.Pool = &AppPool{
		Size: values["pool_size"], MaxOverflow: values["max_overflow"],
		TimeoutSeconds: values["pool_timeout"], RecycleSeconds: values["pool_recycle"],
	}
	return nil
}
