package room

// Method says what becomes of those who come before there is room for them.
type Method string

// The methods. The zero value is DefaultMethod of the schedule.
const (
	// Lottery draws the order of those who came in the lobby; who comes later is
	// behind them, in the order of arrival.
	Lottery Method = "lottery"
	// Fifo keeps the order of arrival, in the lobby too.
	Fifo Method = "fifo"
	// Reject gives no places: who finds no room is told to come back later.
	Reject Method = "reject"
)

// DefaultMethod draws where there is a lobby: an order of arrival would make
// coming early worth a robot's while.
func DefaultMethod(lobby bool) Method {
	if lobby {
		return Lottery
	}
	return Fifo
}
