using System.Collections.Concurrent;

using Microsoft.Extensions.Logging;

namespace UPool.Tests.Fakes;

/// <summary>Records log entries.</summary>
internal sealed class RecordingLogger : ILogger, ILoggerFactory
{
    public ConcurrentQueue<(LogLevel Level, int Id, string Text)> Entries { get; } = new();

    /// <summary>Whether it throws after each entry, as a logger whose disk is full.</summary>
    public bool Throws { get; set; }

    public IEnumerable<string> Of(int id) => Entries.Where(entry => entry.Id == id).Select(entry => entry.Text);

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        Entries.Enqueue((logLevel, eventId.Id, $"{formatter(state, exception)} {exception}".TrimEnd()));
        if (Throws) throw new IOException("No space left on device.");
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}
