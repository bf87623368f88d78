namespace UPool.Core;

/// <summary>A bounded wait for a task that may never end.</summary>
internal static class BoundedWait
{
    /// <summary>
    /// Waits for a task for at most the timeout. Returns whether the task has ended, successfully or not. The task
    /// continues: a request to a server that does not answer is left pending, not given up and repeated (INV-1).
    /// </summary>
    public static async ValueTask<bool> EndsWithinAsync(this Task task, TimeSpan timeout, TimeProvider clock)
    {
        if (!task.IsCompleted)
            await task.WaitAsync(timeout, clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return task.IsCompleted;
    }
}
