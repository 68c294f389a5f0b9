package queue

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxRate keeps a slip of the finger from opening the doors: 5 million fans at once.
const maxRate = 5_000_000

// ParseRate reads an admission rate as operators write it: 20/s, 500/m, 3000/h.
func ParseRate(s string) (rate int, per time.Duration, err error) {
	number, unit, _ := strings.Cut(s, "/")
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	rate, numberErr := strconv.Atoi(number)
	if numberErr != nil || !known || rate <= 0 || rate > maxRate {
		return 0, 0, fmt.Errorf("%q is not a rate: write a whole number above zero and a unit, such as 20/s, 500/m or 3000/h", s)
	}
	return rate, per, nil
}

// FormatRate writes a rate as ParseRate reads it.
func FormatRate(rate int, per time.Duration) string {
	if unit, ok := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[per]; ok {
		return strconv.Itoa(rate) + "/" + unit
	}
	return fmt.Sprintf("%d per %v", rate, per)
}
