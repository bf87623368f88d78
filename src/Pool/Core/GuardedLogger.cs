using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace UPool.Core;

/// <summary>
/// A logger that keeps to itself what the real one throws: a disk that is full must not cost a connection, a permit or
/// the kill lane (INV-7). For the pool's own lines and for the driver's.
/// </summary>
internal sealed class GuardedLogger(ILogger inner) : ILogger
{
    /// <summary>A guarded logger for a category; one that is silent when there is no factory.</summary>
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
            // Nobody is left to tell.
        }
    }
}

/// <summary>Makes guarded loggers, for the driver.</summary>
internal sealed class GuardedLoggerFactory(ILoggerFactory inner) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new GuardedLogger(inner.CreateLogger(categoryName));

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

    /// <summary>Nothing: the inner factory is whoever's made it.</summary>
    public void Dispose()
    {
    }
}
