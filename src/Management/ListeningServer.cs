using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace UPool.Management;

/// <summary>
/// A server that takes the whole start down with it when it cannot listen. Server and silo start side by side, so that
/// health answers while a silo joins; without this an occupied port would be told only once the silo is active, and not
/// at all while a process waits for its database or its cluster.
/// </summary>
internal sealed class ListeningServer(IServer inner, IHostApplicationLifetime lifetime) : IServer
{
    public IFeatureCollection Features => inner.Features;

    public async Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
        where TContext : notnull
    {
        try
        {
            await inner.StartAsync(application, cancellationToken);
        }
        catch (IOException e)
        {
            lifetime.StopApplication();
            throw new InvalidOperationException(
                $"Cannot listen: {e.Message.TrimEnd('.')}. Change Urls (ASPNETCORE_URLS) or UPool:Management:Port.", e);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => inner.StopAsync(cancellationToken);

    public void Dispose() => inner.Dispose();

    /// <summary>Puts this server around the one that is registered.</summary>
    public static void Wrap(IServiceCollection services)
    {
        ServiceDescriptor registered = services.Last(static service => service.ServiceType == typeof(IServer));
        services.Remove(registered);
        services.AddSingleton<IServer>(provider => new ListeningServer(
            (IServer)(registered.ImplementationFactory?.Invoke(provider)
                ?? ActivatorUtilities.CreateInstance(provider, registered.ImplementationType!)),
            provider.GetRequiredService<IHostApplicationLifetime>()));
    }
}
