using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace UPool.Api.Tests.Hosts;

/// <summary>Records log entries at Information and above; a test can wait for a line.</summary>
internal sealed class LogLines : ILoggerProvider
{
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly SemaphoreSlim _added = new(0);

    public IReadOnlyCollection<string> All => _lines;

    public async Task<string> WaitForAsync(string text)
    {
        while (true)
        {
            if (_lines.FirstOrDefault(line => line.Contains(text, StringComparison.Ordinal)) is { } found) return found;

            Assert.True(
                await _added.WaitAsync(Patience.Long),
                $"No line with '{text}' was logged. Logged: {string.Join('\n', _lines)}");
        }
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose() => _added.Dispose();

    private sealed class Logger(LogLines lines, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;

            lines._lines.Enqueue($"{logLevel} {category}: {formatter(state, exception)} {exception}");
            lines._added.Release();
        }
    }
}

/// <summary>How long a test waits for an event before it counts as missing.</summary>
internal static class Patience
{
    public static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
}
