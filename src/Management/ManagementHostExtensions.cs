using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Hosting;

namespace UPool.Management;

/// <summary>Adds management, the listen addresses and the shutdown sequence to a program.</summary>
public static class ManagementHostExtensions
{
    /// <summary>Adds the services of <see cref="ManagementEndpoints"/> and sets the addresses that the program listens
    /// on.</summary>
    /// <param name="builder">The program.</param>
    /// <param name="defaultUrl">The default URL of the application's own routes; null for a program that has none and
    /// listens on the management address only.</param>
    /// <exception cref="OptionsValidationException">A setting of <c>UPool:Management</c> is wrong.</exception>
    public static WebApplicationBuilder AddUPoolManagement(this WebApplicationBuilder builder, string? defaultUrl)
    {
        IServiceCollection services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddUPoolOptions<ManagementOptions, ManagementOptionsValidator>(ManagementOptions.Section);
        services.AddUPoolOptions<ShutdownOptions, ShutdownOptionsValidator>(ShutdownOptions.Section);

        // Concurrently, so that health answers 503 while the silo joins. Services still stop in reverse order: first
        // the server, which finishes its requests, then the silo.
        services.Configure<HostOptions>(static host => host.ServicesStartConcurrently = true);
        services.AddHostedService<ShutdownDelay>();
        services.AddHostedService<StartLine>();
        services.AddHostedService<LimitMonitor>();
        services.Configure<KestrelServerOptions>(static kestrel => kestrel.AddServerHeader = false);
        services.AddHostedService<ListenCheck>();

        // For the OpenAPI document only: the replies are written without it.
        services.ConfigureHttpJsonOptions(static options =>
            options.SerializerOptions.TypeInfoResolverChain.Insert(0, ManagementJson.Default));

        // The host would log a failed start with its stack trace; RunUPoolAsync prints one line instead. The host logs
        // a later failure of a service as Critical, which stays.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        UseSettingsBesideProgram(builder);
        ConsoleLogs.AddDefaults(builder);
        builder.AddTelemetry();
        Listen(builder, defaultUrl);
        return builder;
    }

    /// <summary>Binds options to a section and validates them at start: values by the validator, keys by the
    /// type.</summary>
    public static void AddUPoolOptions<TOptions, TValidator>(this IServiceCollection services, string section)
        where TOptions : class
        where TValidator : class, IValidateOptions<TOptions>
    {
        services.AddOptions<TOptions>().BindConfiguration(section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<TOptions>, TValidator>();
        services.AddSingleton<IValidateOptions<TOptions>>(provider =>
            new KnownKeysValidator<TOptions>(provider.GetRequiredService<IConfiguration>(), section));
    }

    // The program's own settings apply whatever the working directory; a file in that directory, the environment and
    // the command line override them.
    private static void UseSettingsBesideProgram(WebApplicationBuilder builder)
    {
        builder.Configuration.Sources.Insert(0, new JsonConfigurationSource
        {
            FileProvider = new PhysicalFileProvider(AppContext.BaseDirectory),
            Path = "appsettings.json",
            Optional = true,
        });
    }

    private static void Listen(WebApplicationBuilder builder, string? defaultUrl)
    {
        // Read before the container exists: the host's settings include the addresses.
        IConfigurationSection section = builder.Configuration.GetSection(ManagementOptions.Section);
        ManagementOptions options = section.Get<ManagementOptions>() ?? new();
        ValidateOptionsResult checkedOptions = new ManagementOptionsValidator().Validate(null, options);
        if (checkedOptions.Failed)
        {
            throw new OptionsValidationException(
                Options.DefaultName, typeof(ManagementOptions), checkedOptions.Failures);
        }

        int? port = options.Port;
        if (port is null && defaultUrl is not null && options.Key is null && !builder.Environment.IsDevelopment())
        {
            // A proxy on this machine and an operator on it may send the same request, so without a key these routes
            // get a port that no proxy forwards to. Chosen here rather than by the server, because ManagementAccess
            // must know the port before the first request.
            var reserved = new ReservedPort(options.ParsedAddress);

            // By a factory: the container disposes only what it has created.
            builder.Services.AddSingleton(_ => reserved);
            builder.Services.AddOptions<SocketTransportOptions>()
                .Configure<ReservedPort>(static (sockets, kept) => kept.HandOver(sockets));
            port = reserved.Port;
        }

        builder.Services.AddSingleton(new ManagementPlace(port));
        string? managementUrl = defaultUrl is null || port is not null
            ? $"http://{new IPEndPoint(options.ParsedAddress, port ?? 0)}"
            : null;

        // A reserved port is bound already, and would look occupied.
        if (managementUrl is not null && port == options.Port) Check(builder, "UPool:Management:Port", managementUrl);
        if (defaultUrl is null)
        {
            builder.WebHost.UseUrls(managementUrl!);
            return;
        }

        IConfigurationSection[] endpoints = [.. builder.Configuration.GetSection("Kestrel:Endpoints").GetChildren()];
        if (endpoints.Length > 0)
        {
            foreach (IConfigurationSection endpoint in endpoints)
                Check(builder, endpoint.Path + ":Url", endpoint["Url"] ?? "");

            // Kestrel's endpoints override the URLs, so the management address must be one of them.
            if (managementUrl is not null)
                builder.Configuration["Kestrel:Endpoints:UPoolManagement:Url"] = managementUrl;
            return;
        }

        string urls = builder.Configuration[WebHostDefaults.ServerUrlsKey] is { Length: > 0 } given
            ? given
            : FromPorts(builder.Configuration) ?? defaultUrl;
        foreach (string url in urls.Split(';', StringSplitOptions.RemoveEmptyEntries))
            Check(builder, "Urls (ASPNETCORE_URLS)", url);
        builder.WebHost.UseUrls(managementUrl is null ? urls : $"{urls};{managementUrl}");
    }

    private static void Check(WebApplicationBuilder builder, string key, string url) =>
        builder.Services.AddSingleton(new ListenAddress(key, url));

    // The framework's rule for HTTP_PORTS without URLs; container images set it.
    private static string? FromPorts(ConfigurationManager configuration)
    {
        IEnumerable<string> urls = Split("http", configuration[WebHostDefaults.HttpPortsKey])
            .Concat(Split("https", configuration[WebHostDefaults.HttpsPortsKey]));
        string joined = string.Join(';', urls);
        return joined.Length == 0 ? null : joined;

        static IEnumerable<string> Split(string scheme, string? ports) =>
            (ports ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(port => $"{scheme}://*:{port}");
    }
}
