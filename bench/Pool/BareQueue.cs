using System.Threading.Tasks.Sources;

namespace UPool.Bench.Pool;

/// <summary>
/// The minimal fair pool: a lock, the idle items, and the waiting workers in order of arrival. No deadline, no
/// cancellation, no limit, no refusal, no counts, no clock.
/// </summary>
internal sealed class BareQueue
{
    private readonly Lock _gate = new();
    private readonly Stack<object> _idle = new();
    private readonly Queue<Waiter> _pending = new();

    public BareQueue(int items)
    {
        for (int i = 0; i < items; i++) _idle.Push(new object());
    }

    public ValueTask<object> RentAsync(Waiter waiter)
    {
        lock (_gate)
        {
            if (_idle.TryPop(out object? item)) return new ValueTask<object>(item);

            _pending.Enqueue(waiter);
            return waiter.WaitAsync();
        }
    }

    public void Return(object item)
    {
        Waiter? served;
        lock (_gate)
        {
            if (!_pending.TryDequeue(out served)) _idle.Push(item);
        }

        served?.Serve(item);
    }

    /// <summary>A waiting worker. Each worker passes its own, so that the queue allocates none.</summary>
    public sealed class Waiter : IValueTaskSource<object>
    {
        private ManualResetValueTaskSourceCore<object> _source = new() { RunContinuationsAsynchronously = true };

        public ValueTask<object> WaitAsync()
        {
            _source.Reset();
            return new ValueTask<object>(this, _source.Version);
        }

        public void Serve(object item) => _source.SetResult(item);

        object IValueTaskSource<object>.GetResult(short token) => _source.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<object>.GetStatus(short token) => _source.GetStatus(token);

        void IValueTaskSource<object>.OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _source.OnCompleted(continuation, state, token, flags);
    }
}
