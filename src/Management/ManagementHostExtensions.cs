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

/// <summary>Puts the management routes, the addresses and the manner of stopping into a program.</summary>
public static class ManagementHostExtensions
{
    /// <summary>Adds what <see cref="ManagementEndpoints"/> needs and sets the addresses that the program listens
    /// on.</summary>
    /// <param name="builder">The program.</param>
    /// <param name="defaultUrl">Where the application's own routes are when nothing says otherwise; null for a program
    /// that has none and listens on the management address alone.</param>
    /// <exception cref="OptionsValidationException">A setting of <c>UPool:Management</c> is wrong.</exception>
    public static WebApplicationBuilder AddUPoolManagement(this WebApplicationBuilder builder, string? defaultUrl)
    {
        IServiceCollection services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddUPoolOptions<ManagementOptions, ManagementOptionsValidator>(ManagementOptions.Section);
        services.AddUPoolOptions<ShutdownOptions, ShutdownOptionsValidator>(ShutdownOptions.Section);

        // Side by side, so that health answers 503 while the silo joins. Stopping stays in reverse order: the server
        // first, which finishes its requests, then the silo.
        services.Configure<HostOptions>(static host => host.ServicesStartConcurrently = true);
        services.AddHostedService<ShutdownDelay>();
        services.AddHostedService<StartLine>();
        services.AddHostedService<LimitMonitor>();
        services.Configure<KestrelServerOptions>(static kestrel => kestrel.AddServerHeader = false);
        services.AddHostedService<ListenCheck>();

        // For descriptions of the routes alone: the replies are written without it.
        services.ConfigureHttpJsonOptions(static options =>
            options.SerializerOptions.TypeInfoResolverChain.Insert(0, ManagementJson.Default));

        // The host would log a failed start with its stack; it is told in one plain line instead (RunUPoolAsync). What
        // it says when a service fails later is Critical and stays.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        UseSettingsBesideProgram(builder);
        ConsoleLogs.AddDefaults(builder);
        builder.AddTelemetry();
        Listen(builder, defaultUrl);
        return builder;
    }

    /// <summary>Binds options to a section and checks them at start: values by the validator, names by the
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

    // The program's own settings hold wherever it is started from; a file in the folder it is started in, the
    // environment and the command line go above them.
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
        // Read before the container exists: the addresses are settings of the host.
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
            // A proxy on this machine and a person on it send the same request, so without a key these routes are where
            // no proxy leads. Found here rather than by the server: the guard must know it before the first request.
            var reserved = new ReservedPort(options.ParsedAddress);
            builder.Services.AddSingleton(_ => reserved);
            builder.Services.AddOptions<SocketTransportOptions>()
                .Configure<ReservedPort>(static (sockets, kept) => kept.HandOver(sockets));
            port = reserved.Port;
        }

        builder.Services.AddSingleton(new ManagementPlace(port));
        string? managementUrl = defaultUrl is null || port is not null
            ? $"http://{new IPEndPoint(options.ParsedAddress, port ?? 0)}"
            : null;
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

            // Such endpoints override the URLs, so the management address has to be one of them.
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

    // What the framework does with HTTP_PORTS when there are no URLs (container images set it).
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
