using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace UPool.Core;

/// <summary>
/// A logger that swallows the exceptions of the real one: a full disk must not cost a connection, a permit or the kill
/// lane (INV-7). For the pool's own log lines and for the driver's.
/// </summary>
internal sealed class GuardedLogger(ILogger inner) : ILogger
{
    /// <summary>A guarded logger for a category; a silent one when there is no factory.</summary>
    public static ILogger For<T>(ILoggerFactory? loggers) =>
        loggers is null ? NullLogger.Instance : new GuardedLogger(loggers.CreateLogger<T>());

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        try
        {
            return inner.BeginScope(state);
        }
        catch (Exception)
        {
            return null;
        }
    }

    public bool IsEnabled(LogLevel logLevel)
    {
        try
        {
            return inner.IsEnabled(logLevel);
        }
        catch (Exception)
        {
            return false;
        }
    }

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        try
        {
            inner.Log(logLevel, eventId, state, exception, formatter);
        }
        catch (Exception)
        {
            // There is nowhere left to report it.
        }
    }
}

/// <summary>Makes guarded loggers, for the driver.</summary>
internal sealed class GuardedLoggerFactory(ILoggerFactory inner) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new GuardedLogger(inner.CreateLogger(categoryName));

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

    /// <summary>No-op: the caller owns the inner factory.</summary>
    public void Dispose()
    {
    }
}
