namespace UPool.Core;

/// <summary>Waiting for something that may never end.</summary>
internal static class BoundedWait
{
    /// <summary>
    /// Waits for a task, for a time at most, and says whether it has ended, well or badly. The task goes on: what was
    /// sent to a server that does not answer is left pending rather than given up and repeated (INV-1).
    /// </summary>
    public static async ValueTask<bool> EndsWithinAsync(this Task task, TimeSpan timeout, TimeProvider clock)
    {
        if (!task.IsCompleted)
            await task.WaitAsync(timeout, clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return task.IsCompleted;
    }
}
